import { readFile } from 'node:fs/promises';
import { type Genesis, genesisFromJson } from '../../ledger/genesis.ts';
import { boundedText } from '../bounded-text.ts';
import { NodeError } from '../errors.ts';

/** The network file that somebody gave, by its path or by an address: `/api/v1/ledger/genesis` of a node is one, too. */

const DEADLINE_MS = 15_000;
/** 64 seats and 64 issuers take some 40 KB. */
const BYTES_MAX = 262_144;

export interface NetworkFile {
  readonly text: string;
  readonly genesis: Genesis;
}

/** Throws NodeError `not-found`, `bad-configuration` for what is no network file, LedgerError `malformed`. */
export async function readNetworkFile(source: string): Promise<NetworkFile> {
  const text = /^https?:\/\//.test(source) ? await fetchText(source) : await readText(source);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new NodeError('bad-configuration', `${source} is no network file: expected JSON`);
  }
  return { text, genesis: genesisFromJson(json) };
}

async function readText(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new NodeError('not-found', `the network file ${path} cannot be read (${error.code})`);
  });
}

async function fetchText(address: string): Promise<string> {
  let text: string | undefined;
  try {
    const response = await fetch(address, { signal: AbortSignal.timeout(DEADLINE_MS) });
    if (!response.ok) throw new Error(`HTTP status ${response.status}`);
    text = await boundedText(response, BYTES_MAX);
  } catch (error) {
    const { cause = error } = error as { cause?: unknown };
    throw new NodeError('not-found', `${address} gives no network file (${(cause as Error).message})`);
  }
  if (text !== undefined) return text;
  throw new NodeError('bad-configuration', `${address} is no network file: more than ${BYTES_MAX} bytes`);
}
