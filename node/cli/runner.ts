import type { Command } from 'commander';
import type { Client } from './client.ts';

/** How verbs are run: what they are given, and what they give back. */

export interface Context {
  readonly program: Command;
  /** The data folder of the node that is meant. */
  dataFolder(): string;
  /** The running node of that folder. */
  readonly client: Client;
}

/** What a verb gives: a value for `--json`, and text for people. */
type Verb<Args extends unknown[]> = (context: Context, ...args: Args) => Promise<readonly [unknown, string]>;
export type Runner = <Args extends unknown[]>(verb: Verb<Args>) => (...args: Args) => Promise<void>;
