import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ReadableStream } from 'node:stream/web';
import { normalName } from '../../market/files/manifest.ts';
import { consoleCertificate, reachableHost } from '../api/tls-identity.ts';
import { loadSettings } from '../config/settings.ts';
import { NodeError } from '../errors.ts';
import { pinnedFetch } from './pinned-fetch.ts';

/** Talks to a running node over its REST API, with the owner token of its data folder. */

const PAGE_ITEMS = 200;

/** An answer of the node that is a problem. */
export class RemoteProblem extends Error {
  readonly code: string;
  constructor(code: string, detail: string) {
    super(detail);
    this.code = code;
  }
}

export class Client {
  readonly base: string;
  readonly #token: string;
  readonly #certificate: string | undefined;

  /** Throws NodeError `not-initialised`. */
  constructor(dataFolder: string) {
    const tokenPath = join(dataFolder, 'api-token');
    if (!existsSync(tokenPath)) {
      throw new NodeError(
        'not-running',
        `no node has run in ${dataFolder} yet: start it first ("npm start" for a development network, "blocktree start" for a real node), or give its --data folder`,
      );
    }
    const settings = loadSettings(dataFolder, {});
    this.#token = readFileSync(tokenPath, 'utf8').trim();
    this.#certificate = consoleCertificate(dataFolder, settings);
    const scheme = this.#certificate === undefined ? 'http' : 'https';
    this.base = `${scheme}://${reachableHost(settings['console.host'])}:${settings['console.port']}`;
  }

  /** One request; throws RemoteProblem for what the node refuses, NodeError `not-running` when none answers. */
  async request(
    method: string,
    path: string,
    options: { body?: string | ReadableStream; headers?: Record<string, string>; duplex?: 'half' } = {},
  ): Promise<Response> {
    let response: Response;
    try {
      const url = new URL(`${this.base}/api/v1${path}`);
      const headers = { authorization: `Bearer ${this.#token}`, ...options.headers };
      response =
        this.#certificate === undefined
          ? await fetch(url, { method, ...options, headers } as RequestInit)
          : await pinnedFetch(url, this.#certificate, { method, ...options, headers });
    } catch (error) {
      if (error instanceof NodeError) throw error;
      const { cause = error as Error & { code?: string } } = error as {
        cause?: { code?: string; message?: string };
      };
      if (cause.code === 'ECONNREFUSED')
        throw new NodeError(
          'not-running',
          `no node answers at ${this.base}: start it, or give the --data folder of one that runs`,
        );
      throw new NodeError(
        'not-running',
        `the node at ${this.base} stopped answering: ${cause.message ?? (error as Error).message}`,
      );
    }
    if (response.ok) return response;
    const problem = (await response.json().catch(() => ({}))) as { code?: string; detail?: string };
    throw new RemoteProblem(
      problem.code ?? `http-${response.status}`,
      problem.detail ?? `the node answered ${response.status}`,
    );
  }

  async get<T>(path: string): Promise<T> {
    return (await (await this.request('GET', path)).json()) as T;
  }

  /** All items of a list, page by page. */
  async all<Item>(path: string): Promise<Item[]> {
    const items: Item[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const query: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`;
      const page: { items: Item[]; nextCursor: string | null } = await this.get(
        `${path}?limit=${PAGE_ITEMS}${query}`,
      );
      items.push(...page.items);
      cursor = page.nextCursor;
    }
    return items;
  }

  async send<T>(
    method: 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<T> {
    const response = await this.request(method, path, {
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    });
    return (response.status === 204 ? undefined : await response.json()) as T;
  }
}

/** A file's name in a path: every part escaped, slashes kept. Throws MarketError `bad-name`. */
export function filePath(name: string): string {
  return `/files/${normalName(name).split('/').map(encodeURIComponent).join('/')}`;
}
