import type { HistoryEntry } from '../api.ts';
import { dateTime, when } from '../format.ts';
import { Paged } from '../paged.tsx';
import { Amount, Empty, Id, Table } from '../ui.tsx';

/** The ledger's words for a payment, where others say it better. */
const REASONS: Readonly<Record<string, string>> = {
  escrow: 'into escrow',
  collateral: 'into collateral',
  'collateral-return': 'collateral back',
  refund: 'escrow back',
};

/** What an account received and gave, page by page. */
export function History({ accountId }: { accountId: string }) {
  return (
    <Paged<HistoryEntry> path={`/ledger/accounts/${accountId}/history?limit=25`} name="the history">
      {(items) => <HistoryRows items={items} />}
    </Paged>
  );
}

function HistoryRows({ items }: { items: readonly HistoryEntry[] }) {
  if (items.length === 0) return <Empty title="Nothing yet" />;
  return (
    <Table label="History" lines head={['Time', 'What', 'Amount', 'With', 'Where']}>
      {items.map((entry, i) => (
        <tr key={`${entry.height}.${i}`}>
          <td title={dateTime(entry.timestamp)}>{when(entry.timestamp)}</td>
          <td class="main">
            {REASONS[entry.reason] ?? entry.reason}
            {entry.memo !== null && <span class="note"> “{entry.memo}”</span>}
          </td>
          <td class={`side ${entry.direction}`}>
            <Amount grains={entry.direction === 'in' ? entry.amountGrains : `-${entry.amountGrains}`} sign />
          </td>
          <td class="wide-only">{entry.otherId === null ? '–' : <Id id={entry.otherId} kind="account" />}</td>
          <td class="end">
            {entry.contractId !== null ? (
              <Id id={entry.contractId} kind="contract" />
            ) : entry.transactionId !== null ? (
              <Id id={entry.transactionId} kind="tx" />
            ) : (
              <a href={`/ledger/block/${entry.height}`}>block {entry.height}</a>
            )}
          </td>
        </tr>
      ))}
    </Table>
  );
}
