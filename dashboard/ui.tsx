import type { ComponentChildren } from 'preact';
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
  const percent = Math.round(Math.max(0, Math.min(1, part)) * 1_000) / 10;
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

export function Failure({ problem }: { problem: Problem }) {
  return (
    <div class="failure" role="alert">
      <strong>{problem.code === 'offline' ? 'The node does not answer' : 'That did not work'}</strong>
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

export function Table({
  head,
  children,
  label,
}: {
  head: readonly string[];
  children: ComponentChildren;
  label: string;
}) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
    <div class="scroll" tabIndex={0} role="region" aria-label={label}>
      <table>
        <thead>
          <tr>
            {head.map((cell) => (
              <th key={cell} scope="col">
                {cell === '' ? <span class="hidden">Actions</span> : cell}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

/** A button that does something on the node: busy while it runs, with what went wrong below it. */
export function Act({
  label,
  run,
  danger = false,
  disabled = false,
}: {
  label: string;
  run: () => Promise<unknown>;
  danger?: boolean;
  disabled?: boolean;
}) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  return (
    <span class="act">
      <button
        type="button"
        class={danger ? 'danger' : 'primary'}
        disabled={busy || disabled}
        aria-busy={busy}
        onClick={() => {
          setBusy(true);
          setProblem(undefined);
          run()
            .catch((error: Problem) => setProblem(error))
            .finally(() => setBusy(false));
        }}
      >
        {busy ? 'Working…' : label}
      </button>
      {problem !== undefined && <Failure problem={problem} />}
    </span>
  );
}
