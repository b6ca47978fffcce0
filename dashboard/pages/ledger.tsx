import { useState } from 'preact/hooks';
import { type Block, call, type Problem, useApi } from '../api.ts';
import { when } from '../format.ts';
import { Paged } from '../paged.tsx';
import { go } from '../router.ts';
import { Card, Id, Show, Table } from '../ui.tsx';
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
