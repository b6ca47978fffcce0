import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Consensus } from '../../ledger/consensus/consensus.ts';
import type { Mutation } from './node-surroundings.ts';
import { simulate } from './world.ts';

/**
 * Protocols that are broken on purpose: the simulator must notice each. A mutant is a copy of the real source with one
 * place changed, or a world that breaks a rule of durability.
 */
export interface Mutant {
  readonly name: string;
  readonly patch?: { readonly file: string; readonly find: RegExp; readonly replace: string };
  readonly mutation?: Mutation;
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'finalize after nullify',
    patch: {
      file: 'rules/finalize.ts',
      find: /if \(slot\.mine\.nullify \|\| slot\.mine\.finalize !== undefined\) return;/,
      replace: 'if (slot.mine.finalize !== undefined) return;',
    },
  },
  {
    name: 'no second proposal of a waiting tip',
    patch: {
      file: 'rules/propose.ts',
      find: /if \(parent\.blockId !== state\.final\.id && flushDue\(state\)\) proposeAgain\(state, parent\);\n\s+else /,
      replace: '',
    },
  },
  {
    name: 'a retry leaks votes that are not on disk',
    patch: {
      file: 'rules/repair.ts',
      find: /if \(slot\.durable\.has\(type\)\)/,
      replace: 'if (slot.mine.signatures.has(type))',
    },
  },
  {
    name: 'no retry',
    patch: { file: 'consensus.ts', find: /if \(!state\.halted\) retry\(state\);/, replace: '' },
  },
  { name: 'no status', patch: { file: 'consensus.ts', find: /sayStatus\(state\);/, replace: '' } },
  {
    name: 'a parent without the nullifications between',
    patch: {
      file: 'rules/notarize.ts',
      find: /if \(state\.slots\.get\(between\)\?\.nullification === undefined\) return;/,
      replace: '',
    },
  },
  {
    name: 'votes for blocks that were not executed',
    patch: {
      file: 'rules/notarize.ts',
      find: /if \(state\.blocks\.isValid\(position\.blockId\)\) castVote/,
      replace: 'if (!state.blocks.isInvalid(position.blockId)) castVote',
    },
  },
  {
    name: 'a boundary is not proposed again',
    patch: {
      file: 'rules/propose.ts',
      find: /else if \(state\.blocks\.isBoundary\(parent\.blockId\)\) \{\n\s+proposeAgain\(state, parent\);/,
      replace: 'else if (state.blocks.isBoundary(parent.blockId)) {',
    },
  },
  { name: 'votes are sent before they are on disk', mutation: { sendBeforeSync: true } },
  { name: 'votes are forgotten at restart', mutation: { forgetVotesAtRestart: true } },
  { name: 'who lost its log votes on', mutation: { ignoreAbstention: true } },
  { name: 'nodes of an old epoch are not told', mutation: { noBoundaryReply: true } },
];

const repository = fileURLToPath(new URL('../../', import.meta.url));

/** A copy of some folders of the source with a mutant's change in it; `remove` deletes it. */
export function mutatedCopy(
  folders: readonly string[],
  name: string,
  patch: Mutant['patch'],
): { readonly root: string; remove(): void } {
  // Inside the repository, so that the copy finds the packages.
  const cache = join(repository, 'node_modules/.cache');
  mkdirSync(cache, { recursive: true });
  const root = mkdtempSync(join(cache, 'blocktree-mutant-'));
  const remove = (): void => rmSync(root, { recursive: true, force: true });
  try {
    for (const folder of folders) cpSync(join(repository, folder), join(root, folder), { recursive: true });
    if (patch !== undefined) {
      const path = join(root, patch.file);
      const text = readFileSync(path, 'utf8');
      if (!patch.find.test(text)) throw new Error(`the mutant "${name}" does not fit the source any more`);
      writeFileSync(path, text.replace(patch.find, patch.replace));
    }
    return { root, remove };
  } catch (error) {
    remove();
    throw error;
  }
}

/** A consensus with the mutant's change in it; `remove` deletes the copy. */
export async function mutantClass({
  name,
  patch,
}: Mutant): Promise<{ readonly consensus: typeof Consensus; remove(): void }> {
  const inConsensus = patch && { ...patch, file: join('ledger/consensus', patch.file) };
  const { root, remove } = mutatedCopy(['ledger'], name, inConsensus);
  const entry = pathToFileURL(join(root, 'ledger/consensus/consensus.ts')).href;
  return { consensus: ((await import(entry)) as { Consensus: typeof Consensus }).Consensus, remove };
}

/** The first seed that notices the mutant; `undefined` when none of them does. */
export async function firstNotice(
  mutant: Mutant,
  seeds: number,
): Promise<{ readonly seed: number; readonly what: string } | undefined> {
  const { consensus, remove } = await mutantClass(mutant);
  try {
    for (let seed = 1; seed <= seeds; seed++) {
      const { violation, stalled } = simulate(seed, {
        consensus,
        ...(mutant.mutation && { mutation: mutant.mutation }),
      });
      const what = violation ?? stalled;
      if (what !== undefined) return { seed, what };
    }
    return undefined;
  } finally {
    remove();
  }
}
