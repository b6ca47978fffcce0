import { type ComponentChildren, cloneElement, isValidElement, toChildArray, type VNode } from 'preact';
import { useState } from 'preact/hooks';
import type { Loaded, Problem } from './api.ts';
import { acorns, grainsText, short } from './format.ts';

/** The pieces that pages are made of. */

export function Amount({
  grains,
  unit = true,
  sign = false,
}: {
  grains: string | bigint;
  unit?: boolean;
  sign?: boolean;
}) {
  const positive = sign && BigInt(grains) > 0n ? '+' : '';
  return (
    <span class="amount" title={grainsText(grains)}>
      {positive}
      {acorns(grains)}
      {unit && <span class="unit"> acorns</span>}
    </span>
  );
}

const ICONS: Record<string, string> = {
  Overview: 'M4 11 12 4l8 7v9h-5v-6H9v6H4z',
  Earnings: 'M4 20h16M7 20v-6M12 20V9M17 20V4',
  Storage: 'M4 5h16v6H4zM4 13h16v6H4zM7.5 8h.01M7.5 16h.01',
  Files: 'M6 3h8l4 4v14H6zM14 3v4h4M9 13h6M9 17h6',
  Ledger: 'M12 21V9M12 15 6 10M12 12l6-5M12 9V6M4.5 8.5h3v3h-3zM16.500 4h3v3h-3zM10.500 3h3v3h-3z',
  Wallet: 'M4 7h14a2 2 0 0 1 2 2v9H6a2 2 0 0 1-2-2zM4 7l11-3v3M16 13h.01',
  Network: 'M12 7v4M12 11l-6 5M12 11l6 5M10 3h4v4h-4zM4 16h4v4H4zM16 16h4v4h-4z',
  Settings: 'M4 7h9M17 7h3M4 17h3M11 17h9M13 5v4M17 5v4M7 15v4M11 15v4',
};

/** The drawing of a page beside its name. */
export function Icon({ name }: { name: string }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" width="20" height="20" aria-hidden="true">
      <path d={ICONS[name]} />
    </svg>
  );
}

export function Card({
  title,
  children,
  action,
  wide = false,
}: {
  title?: string;
  children: ComponentChildren;
  action?: ComponentChildren;
  wide?: boolean;
}) {
  return (
    <section class={wide ? 'card wide' : 'card'}>
      {title !== undefined && (
        <header>
          <h2>{title}</h2>
          {action}
        </header>
      )}
      {children}
    </section>
  );
}

export function Figure({
  label,
  children,
  note,
}: {
  label: string;
  children: ComponentChildren;
  note?: ComponentChildren;
}) {
  return (
    <div class="figure">
      <dt>{label}</dt>
      <dd>{children}</dd>
      {note !== undefined && <dd class="note">{note}</dd>}
    </div>
  );
}

export function Id({ id, kind }: { id: string; kind?: 'block' | 'tx' | 'account' | 'contract' }) {
  const text = (
    <span class="id" title={id}>
      {short(id)}
    </span>
  );
  return kind === undefined ? text : <a href={`/ledger/${kind}/${id}`}>{text}</a>;
}

export function Bar({
  part,
  label,
  tone = 'good',
}: {
  part: number;
  label: string;
  tone?: 'good' | 'warn' | 'bad';
}) {
  const exact = Math.max(0, Math.min(1, part)) * 100;
  // What is there, little as it may be, is more than nothing.
  const percent = exact > 0 ? Math.max(0.1, Math.round(exact * 10) / 10) : 0;
  return (
    <div
      class={`bar ${tone}`}
      role="progressbar"
      aria-label={label}
      aria-valuenow={percent}
      aria-valuemin={0}
      aria-valuemax={100}
    >
      <span style={{ width: `${percent}%` }} />
    </div>
  );
}

export function Badge({
  tone,
  children,
}: {
  tone: 'good' | 'warn' | 'bad' | 'quiet';
  children: ComponentChildren;
}) {
  return <span class={`badge ${tone}`}>{children}</span>;
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p>
        <strong>{title}</strong>
      </p>
      {children !== undefined && <p>{children}</p>}
    </div>
  );
}

export function Failure({ problem, title = 'That did not work' }: { problem: Problem; title?: string }) {
  return (
    <div class="failure" role="alert">
      <strong>{problem.code === 'offline' ? 'The node does not answer' : title}</strong>
      <p>{problem.message}</p>
    </div>
  );
}

/** A loaded resource, or what stands in for it meanwhile. */
export function Show<T>({ from, children }: { from: Loaded<T>; children: (data: T) => ComponentChildren }) {
  if (from.data !== undefined) return <>{children(from.data)}</>;
  if (from.error !== undefined) return <Failure problem={from.error} />;
  return <div class="loading" role="status" aria-label="Loading" />;
}

/** Said again, because Safari forgets that a table is one when its rows are drawn as cards. */
const ROLE = {
  table: { role: 'table' },
  group: { role: 'rowgroup' },
  row: { role: 'row' },
  head: { role: 'columnheader' },
  cell: { role: 'cell' },
} as const;

/** On a phone a row stands as a card, and each cell says what it is. */
function withLabels(rows: ComponentChildren, head: readonly string[]): ComponentChildren {
  return toChildArray(rows).map((row) =>
    isValidElement(row)
      ? cloneElement(
          row,
          ROLE.row,
          toChildArray((row as VNode<{ children?: ComponentChildren }>).props.children).map((cell, i) =>
            isValidElement(cell)
              ? cloneElement(cell, { ...ROLE.cell, 'data-label': head[i] } as object)
              : cell,
          ),
        )
      : row,
  );
}

/**
 * Rows under a head. On a phone every row is a small card of labelled cells; with `lines`, where a row is short and there
 * are many, two lines: cells of class `main` and `side` above, others below, `wide-only` left out.
 */
export function Table({
  head,
  children,
  label,
  lines = false,
}: {
  head: readonly string[];
  children: ComponentChildren;
  label: string;
  lines?: boolean;
}) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
    <div class={lines ? 'scroll lines' : 'scroll'} tabIndex={0} role="region" aria-label={label}>
      <table {...ROLE.table}>
        <thead {...ROLE.group}>
          <tr {...ROLE.row}>
            {head.map((cell) => (
              <th key={cell} scope="col" {...ROLE.head}>
                {cell === '' ? <span class="hidden">Actions</span> : cell}
              </th>
            ))}
          </tr>
        </thead>
        <tbody {...ROLE.group}>{withLabels(children, head)}</tbody>
      </table>
    </div>
  );
}

/**
 * A button that does something on the node: busy while it runs, with what went wrong below it.
 * With `confirm` the first press only asks, in those words; leaving the button takes the question back.
 */
export function Act({
  label,
  confirm,
  run,
  danger = false,
  disabled = false,
}: {
  label: string;
  confirm?: string;
  run: () => Promise<unknown>;
  danger?: boolean;
  disabled?: boolean;
}) {
  const [busy, setBusy] = useState(false);
  const [asked, setAsked] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  return (
    <span class="act">
      <button
        type="button"
        class={danger ? 'danger' : 'primary'}
        disabled={busy || disabled}
        aria-busy={busy}
        onBlur={() => setAsked(false)}
        onClick={() => {
          if (confirm !== undefined && !asked) return setAsked(true);
          setAsked(false);
          setBusy(true);
          setProblem(undefined);
          run()
            .catch((error: Problem) => setProblem(error))
            .finally(() => setBusy(false));
        }}
      >
        {busy ? 'Working…' : asked ? confirm : label}
      </button>
      {problem !== undefined && <Failure problem={problem} />}
    </span>
  );
}
