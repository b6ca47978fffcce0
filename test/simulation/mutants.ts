import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Consensus } from '../../ledger/consensus/consensus.ts';
import { type Mutation, simulate } from './world.ts';

/**
 * Protocols that are broken on purpose: the simulator must notice each. A mutant is the real source with one line
 * changed, in a temporary folder, or a world that breaks a rule of durability.
 */
export interface Mutant {
  readonly name: string;
  readonly patch?: readonly [find: RegExp, replace: string];
  readonly mutation?: Mutation;
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'finalize after nullify',
    patch: [
      /if \(slot\.mine\.nullify \|\| slot\.mine\.finalize !== undefined\) return;/,
      'if (slot.mine.finalize !== undefined) return;',
    ],
  },
  {
    name: 'no second proposal of a waiting tip',
    patch: [
      /if \(block === undefined && \(again === undefined \|\| !this\.#flushDue\(\)\)\) \{/,
      'if (block === undefined) {',
    ],
  },
  {
    name: 'a retry leaks votes that are not on disk',
    patch: [/if \(slot\.durable\.has\(type\)\)/, 'if (slot.mine.signatures.has(type))'],
  },
  { name: 'no retry', patch: [/this\.#retry\(\);\n/, '\n'] },
  { name: 'no status', patch: [/this\.#send\('all', \{ kind: 'status', \.\.\.this\.#status\(\) \}\);/, ''] },
  { name: 'votes are sent before they are on disk', mutation: { sendBeforeSync: true } },
  { name: 'votes are forgotten at restart', mutation: { forgetVotesAtRestart: true } },
];

const source = fileURLToPath(new URL('../../ledger/consensus/consensus.ts', import.meta.url));

/** The first seed that notices the mutant; `undefined` when none of them does. */
export async function firstNotice(
  mutant: Mutant,
  seeds: number,
): Promise<{ readonly seed: number; readonly what: string } | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'blocktree-mutant-'));
  try {
    let consensusClass: typeof Consensus | undefined;
    if (mutant.patch !== undefined) {
      const [find, replace] = mutant.patch;
      const text = readFileSync(source, 'utf8');
      if (!find.test(text)) throw new Error(`the mutant "${mutant.name}" does not fit the source any more`);
      const changed = text
        .replace(find, replace)
        .replace(
          /from '(\.\.?\/[^']+)'/g,
          (_, path: string) => `from '${new URL(path, pathToFileURL(source)).href}'`,
        );
      const path = join(folder, 'consensus.ts');
      writeFileSync(path, changed);
      consensusClass = ((await import(pathToFileURL(path).href)) as { Consensus: typeof Consensus })
        .Consensus;
    }
    for (let seed = 1; seed <= seeds; seed++) {
      const { violation, stalled } = simulate(seed, mutant.mutation, consensusClass);
      const what = violation ?? stalled;
      if (what !== undefined) return { seed, what };
    }
    return undefined;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
