import { type Block, type Contract, type Transaction, useApi } from '../api.ts';
import { bytes, dateTime } from '../format.ts';
import { Proven } from '../proven.tsx';
import { Amount, Badge, Card, Empty, Failure, Figure, Id, Show, Table } from '../ui.tsx';
import { History } from './history.tsx';

/** One thing on the ledger: a block, a transaction, an account, a contract, a period. */

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
