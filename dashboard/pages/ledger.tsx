import { useState } from 'preact/hooks';
import {
  type Block,
  type Contract,
  call,
  type HistoryEntry,
  type Problem,
  type Transaction,
  useApi,
} from '../api.ts';
import { bytes, dateTime, when } from '../format.ts';
import { Paged } from '../paged.tsx';
import { Proven } from '../proven.tsx';
import { go } from '../router.ts';
import { Amount, Badge, Card, Empty, Failure, Figure, Id, Show, Table } from '../ui.tsx';
import { BlockTree } from './block-tree.tsx';

const DEPTH = 20;

function Search() {
  const [text, setText] = useState('');
  const [problem, setProblem] = useState<string>();
  const search = async (): Promise<void> => {
    const id = text.trim();
    setProblem(undefined);
    if (id.startsWith('acorn1')) return go(`/ledger/account/${id}`);
    for (const [kind, path] of [
      ['block', 'blocks'],
      ['tx', 'transactions'],
      ['contract', 'contracts'],
    ] as const) {
      const found = await call('GET', `/ledger/${path}/${encodeURIComponent(id)}`).then(
        () => true,
        (error: Problem) => {
          if (error.status === 0) setProblem(error.message);
          return false;
        },
      );
      if (found) return go(`/ledger/${kind}/${id}`);
    }
    setProblem(
      'Nothing on the ledger has this id. Expected a height, the id of a block, transaction or contract, or an account (acorn1…).',
    );
  };
  return (
    <form
      class="search"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        if (text.trim() !== '') void search();
      }}
    >
      <label class="hidden" for="search">
        Search the ledger
      </label>
      <input
        id="search"
        type="search"
        placeholder="Height, id or acorn1… address"
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <button type="submit">Search</button>
      {problem !== undefined && <p role="alert">{problem}</p>}
    </form>
  );
}

function BlockRows({ blocks }: { blocks: readonly Block[] }) {
  return (
    <Table label="Blocks" lines head={['Height', 'Block', 'Time', 'Transactions', 'Proposer']}>
      {blocks.map((block) => (
        <tr key={block.id}>
          <td class="main">
            <a href={`/ledger/block/${block.height}`}>{block.height.toLocaleString('en')}</a>
          </td>
          <td>
            <Id id={block.id} kind="block" />
          </td>
          <td class="side">{when(block.timestamp)}</td>
          <td class="end">
            {block.transactionCount ?? 'pruned'}
            {block.transactionCount !== null && (
              <span class="phone-only">
                {block.transactionCount === 1 ? ' transaction' : ' transactions'}
              </span>
            )}
          </td>
          <td class="wide-only">
            <Id id={block.proposer} />
          </td>
        </tr>
      ))}
    </Table>
  );
}

export function Ledger() {
  const tree = useApi<{ blocks: Block[] }>(`/ledger/tree?depth=${DEPTH}`);
  return (
    <div class="grid">
      <Card title="Block tree" wide action={<Search />}>
        <Show from={tree}>{(data) => <BlockTree blocks={data.blocks} />}</Show>
        <ul class="legend">
          <li class="final">final</li>
          <li class="notarized">notarized</li>
          <li class="abandoned">abandoned</li>
          <li class="leaf">a transaction</li>
        </ul>
      </Card>
      <Card title="Blocks" wide>
        <Paged<Block> path="/ledger/blocks?limit=15" name="blocks">
          {(items) => <BlockRows blocks={items} />}
        </Paged>
      </Card>
    </div>
  );
}

function Transactions({ items }: { items: readonly Transaction[] }) {
  if (items.length === 0) return <Empty title="No transactions">This block opened a period.</Empty>;
  return (
    <Table label="Transactions" head={['Transaction', 'Kind', 'Sender', 'Fee']}>
      {items.map((one) => (
        <tr key={one.id}>
          <td>
            <Id id={one.id} kind="tx" />
          </td>
          <td>{one.kind}</td>
          <td>
            <Id id={one.sender} kind="account" />
          </td>
          <td>
            <Amount grains={one.feeGrains} />
          </td>
        </tr>
      ))}
    </Table>
  );
}

function BlockPage({ id }: { id: string }) {
  const block = useApi<Block & { transactions: Transaction[] }>(`/ledger/blocks/${id}`, []);
  return (
    <Show from={block}>
      {(data) => (
        <div class="grid">
          <Card title={`Block ${data.height}`} wide>
            <dl class="figures">
              <Figure label="Status">
                <Badge tone={data.status === 'final' ? 'good' : data.status === 'abandoned' ? 'bad' : 'warn'}>
                  {data.status}
                </Badge>
              </Figure>
              <Figure label="Time">{dateTime(data.timestamp)}</Figure>
              <Figure label="Parent">
                <Id id={data.parentId} kind="block" />
              </Figure>
              <Figure label="Proposer">
                <Id id={data.proposer} />
              </Figure>
              <Figure label="View">{data.view}</Figure>
              <Figure label="State root">
                <Id id={data.stateRoot} />
              </Figure>
            </dl>
          </Card>
          <Card title="Transactions" wide>
            {data.pruned ? (
              <Empty title="Pruned: this node keeps only the header of this block" />
            ) : (
              <Transactions items={data.transactions} />
            )}
          </Card>
        </div>
      )}
    </Show>
  );
}

function TransactionPage({ id }: { id: string }) {
  const transaction = useApi<Transaction>(`/ledger/transactions/${id}`);
  return (
    <Show from={transaction}>
      {(data) => (
        <Card title={data.kind} wide>
          <dl class="figures">
            <Figure label="Status">
              <Badge tone={data.status === 'final' ? 'good' : 'warn'}>{data.status}</Badge>
            </Figure>
            <Figure label="Block">
              {data.height === null ? '–' : <a href={`/ledger/block/${data.height}`}>{data.height}</a>}
            </Figure>
            <Figure label="Sender">
              <Id id={data.sender} kind="account" />
            </Figure>
            <Figure label="Fee">
              <Amount grains={data.feeGrains} />
            </Figure>
          </dl>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard */}
          <pre tabIndex={0}>{JSON.stringify(data.body, undefined, 2)}</pre>
        </Card>
      )}
    </Show>
  );
}

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

function AccountPage({ id }: { id: string }) {
  const account = useApi<{ accountId: string; balanceGrains: string; nonce: number }>(
    `/ledger/accounts/${id}`,
  );
  return (
    <div class="grid">
      <Card title="Account" wide>
        <Show from={account}>
          {(data) => (
            <>
              <p class="path">{data.accountId}</p>
              <dl class="figures">
                <Figure label="Balance">
                  <Amount grains={data.balanceGrains} />
                </Figure>
                <Figure label="Transactions sent">{data.nonce}</Figure>
              </dl>
              <Proven accountId={data.accountId} shownGrains={data.balanceGrains} />
            </>
          )}
        </Show>
      </Card>
      <Card title="History" wide>
        <History accountId={id} />
      </Card>
    </div>
  );
}

function ContractPage({ id }: { id: string }) {
  const contract = useApi<Contract>(`/ledger/contracts/${id}`);
  return (
    <Show from={contract}>
      {(data) => (
        <Card title="Storage contract" wide>
          <p class="path">{data.id}</p>
          <dl class="figures">
            <Figure label="State">
              <Badge tone={data.state === 'active' ? 'good' : data.state === 'failed' ? 'bad' : 'quiet'}>
                {data.state}
              </Badge>
            </Figure>
            <Figure label="Size">{bytes(data.sizeBytes)}</Figure>
            <Figure label="Renter">
              <Id id={data.renterId} kind="account" />
            </Figure>
            <Figure label="Host">
              <Id id={data.hostAccountId} kind="account" />
            </Figure>
            <Figure label="Periods" note={`${data.paidPeriods} paid, ${data.missedPeriods} missed`}>
              {data.startPeriod} – {data.endPeriod}
            </Figure>
            <Figure label="Opened">
              <a href={`/ledger/block/${data.openedHeight}`}>block {data.openedHeight}</a>
            </Figure>
            <Figure label="Next to prove" note={`until period ${data.provableUntilPeriod}`}>
              {data.nextPeriod}
            </Figure>
            <Figure label="Price a GiB and period">
              <Amount grains={data.priceGrainsPerGiBPeriod} />
            </Figure>
            <Figure label="Paid for storage">
              <Amount grains={data.paidStorageGrains} />
            </Figure>
            <Figure label="Paid for egress">
              <Amount grains={data.paidEgressGrains} />
            </Figure>
            <Figure label="Escrow left">
              <Amount grains={data.escrowGrains} />
            </Figure>
            <Figure label="Collateral">
              <Amount grains={data.collateralGrains} />
            </Figure>
            <Figure label="Penalties">
              <Amount grains={data.penaltyGrains} />
            </Figure>
          </dl>
        </Card>
      )}
    </Show>
  );
}

function PeriodPage({ id }: { id: string }) {
  const period = useApi<{ period: number; height: number; startedAt: string; beacon: string | null }>(
    `/ledger/periods/${encodeURIComponent(id)}`,
    [],
  );
  return (
    <Show from={period}>
      {(data) => (
        <Card title={`Period ${data.period}`} wide>
          <dl class="figures">
            <Figure label="Began">{dateTime(data.startedAt)}</Figure>
            <Figure label="Opened by">
              <a href={`/ledger/block/${data.height}`}>block {data.height}</a>
            </Figure>
            <Figure label="Challenge of its proofs">
              {data.beacon === null ? 'no longer kept' : <Id id={data.beacon} />}
            </Figure>
          </dl>
        </Card>
      )}
    </Show>
  );
}

/** `/ledger/KIND/ID`. */
export function LedgerDetail({ kind, id }: { kind: string; id: string }) {
  const known = {
    block: BlockPage,
    tx: TransactionPage,
    account: AccountPage,
    contract: ContractPage,
    period: PeriodPage,
  }[kind];
  if (known === undefined)
    return (
      <Failure problem={{ name: '', status: 404, code: 'not-found', message: 'There is no such page.' }} />
    );
  const Detail = known;
  return (
    <>
      <p class="back">
        <a href="/ledger">← Ledger</a>
      </p>
      <Detail id={id} />
    </>
  );
}
