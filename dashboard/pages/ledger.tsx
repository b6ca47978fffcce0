import { useState } from 'preact/hooks';
import {
  type Block,
  type Contract,
  call,
  type HistoryEntry,
  type Page,
  type Problem,
  type Transaction,
  useApi,
} from '../api.ts';
import { bytes, clock, dateTime } from '../format.ts';
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
    <Table label="Blocks" head={['Height', 'Block', 'Time', 'Transactions', 'Proposer']}>
      {blocks.map((block) => (
        <tr key={block.id}>
          <td>
            <a href={`/ledger/block/${block.height}`}>{block.height.toLocaleString('en')}</a>
          </td>
          <td>
            <Id id={block.id} kind="block" />
          </td>
          <td>{clock(block.timestamp)}</td>
          <td>{block.transactionCount}</td>
          <td>
            <Id id={block.proposer} />
          </td>
        </tr>
      ))}
    </Table>
  );
}

export function Ledger() {
  const tree = useApi<{ blocks: Block[] }>(`/ledger/tree?depth=${DEPTH}`);
  const blocks = useApi<Page<Block>>('/ledger/blocks?limit=15');
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
      <Card title="Newest blocks" wide>
        <Show from={blocks}>{({ items }) => <BlockRows blocks={items} />}</Show>
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
            <Transactions items={data.transactions} />
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

export function History({ items }: { items: readonly HistoryEntry[] }) {
  if (items.length === 0) return <Empty title="Nothing yet" />;
  return (
    <Table label="History" head={['Time', 'What', 'Amount', 'With', 'Where']}>
      {items.map((entry, i) => (
        <tr key={`${entry.height}.${i}`}>
          <td>{dateTime(entry.timestamp)}</td>
          <td>
            {entry.reason}
            {entry.memo !== null && <span class="note"> “{entry.memo}”</span>}
          </td>
          <td class={entry.direction}>
            <Amount grains={entry.direction === 'in' ? entry.amountGrains : `-${entry.amountGrains}`} sign />
          </td>
          <td>{entry.otherId === null ? '–' : <Id id={entry.otherId} kind="account" />}</td>
          <td>
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
  const history = useApi<Page<HistoryEntry>>(`/ledger/accounts/${id}/history?limit=50`);
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
            </>
          )}
        </Show>
      </Card>
      <Card title="History" wide>
        <Show from={history}>{({ items }) => <History items={items} />}</Show>
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
