import { useEffect, useRef } from 'preact/hooks';
import type { Block } from '../api.ts';

/** The block tree as a picture: final blocks are the trunk, transactions its leaves, branches that lost hang below. */

const COLUMN = 54;
const ROW = 52;
const TRUNK_Y = 58;
const MARGIN = 26;
const LEAVES_MAX = 7;

interface Place {
  readonly x: number;
  readonly y: number;
  readonly block: Block;
}

/** The final line takes the top row; what shares a height with another block, and what grows from that, goes below. */
function placesOf(blocks: readonly Block[]): ReadonlyMap<string, Place> {
  const low = Math.min(...blocks.map(({ height }) => height));
  const places = new Map<string, Place>();
  const taken = new Map<number, number>();
  const rank = { final: 0, notarized: 1, proposed: 2, abandoned: 3 } as const;
  for (const block of [...blocks].sort(
    (a, b) => a.height - b.height || rank[a.status] - rank[b.status] || a.id.localeCompare(b.id),
  )) {
    const parentRow = ((places.get(block.parentId)?.y ?? TRUNK_Y) - TRUNK_Y) / ROW;
    const row = Math.max(taken.get(block.height) ?? 0, block.status === 'final' ? 0 : parentRow);
    taken.set(block.height, row + 1);
    places.set(block.id, { x: MARGIN + (block.height - low) * COLUMN, y: TRUNK_Y + row * ROW, block });
  }
  return places;
}

function Leaves({ count }: { count: number }) {
  const shown = Math.min(count, LEAVES_MAX);
  return (
    <>
      {Array.from({ length: shown }, (_, i) => (
        <path
          key={i}
          class="leaf"
          d="M0 -8 C5 -13 5 -20 0 -25 C-5 -20 -5 -13 0 -8"
          transform={`rotate(${(i - (shown - 1) / 2) * 30})`}
        />
      ))}
    </>
  );
}

export function BlockTree({ blocks }: { blocks: readonly Block[] }) {
  const region = useRef<HTMLDivElement>(null);
  // Where it does not fit, it opens at the growing end.
  useEffect(() => region.current?.scrollTo({ left: region.current.scrollWidth }), []);
  const places = [...placesOf(blocks).values()];
  const byId = new Map(places.map((place) => [place.block.id, place]));
  const width = Math.max(...places.map(({ x }) => x)) + MARGIN;
  const height = Math.max(...places.map(({ y }) => y)) + 36;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
    <div ref={region} class="scroll tree" tabIndex={0} role="region" aria-label="Block tree">
      <svg width={width} height={height} aria-label={`The newest ${blocks.length} blocks`} role="group">
        {places.map(({ x, y, block }) => {
          const parent = byId.get(block.parentId);
          return parent === undefined ? null : (
            <path
              key={block.id}
              class={`edge ${block.status}`}
              d={`M${parent.x} ${parent.y} C${parent.x + COLUMN / 2} ${parent.y} ${x - COLUMN / 2} ${y} ${x} ${y}`}
            />
          );
        })}
        {places.map(({ x, y, block }) => {
          const count = block.transactionCount;
          const held =
            count === null ? 'body pruned' : `${count} ${count === 1 ? 'transaction' : 'transactions'}`;
          const told = `Block ${block.height}, ${block.status}, ${held}`;
          return (
            <a key={block.id} href={`/ledger/block/${block.id}`} aria-label={told}>
              <g class={`node ${block.status}`} transform={`translate(${x} ${y})`}>
                <title>{told}</title>
                <Leaves count={count ?? 0} />
                <circle r={count === 0 ? 6 : 9} />
                <text y={28} text-anchor="middle">
                  {block.height}
                </text>
              </g>
            </a>
          );
        })}
      </svg>
    </div>
  );
}
