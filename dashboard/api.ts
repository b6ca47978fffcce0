/** The node's REST API as the pages use it: types, requests, and a hook that stays fresh with the event stream. */
import { useEffect, useReducer, useRef, useState } from 'preact/hooks';
import type { FileHealth, Operations } from './generated/api.ts';

type Answer<Operation extends keyof Operations> = Operations[Operation]['answer'];
type Item<Operation extends keyof Operations> =
  Answer<Operation> extends { readonly items: readonly (infer One)[] } ? One : never;

export interface Page<T> {
  readonly items: readonly T[];
  readonly nextCursor: string | null;
}
export type Status = Answer<'GET /status'>;
export type Earnings = Answer<'GET /host/earnings'>;
export type Contract = Answer<'GET /ledger/contracts/{id}'>;
export type Block = Item<'GET /ledger/blocks'>;
export type Transaction = Answer<'GET /ledger/transactions/{id}'>;
export type HistoryEntry = Item<'GET /ledger/accounts/{id}/history'>;
export type StoredFile = Item<'GET /files'>;
/** Of `GET /files/NAME/health`, which the document describes as one with the content. */
export type StoredFileHealth = FileHealth;
export type Offer = NonNullable<Answer<'GET /host/offer'>['offer']>;
export type OfferOutlook = Answer<'GET /host/offer/outlook'>;
export type Volume = Item<'GET /host/volumes'>;
export type Audit = Item<'GET /host/audits'>;
export type NetworkNode = Item<'GET /ledger/nodes'>;
export type Job = Item<'GET /jobs'>;
export type Peer = Item<'GET /peers'>;
export type Alert = Item<'GET /alerts'>;
export type Seat = Answer<'GET /seat'>;
export type TpmStatus = Answer<'GET /tpm'>;
export type Setting = Item<'GET /settings'>;
export type Token = Item<'GET /tokens'>;

/** What the node refused, in its own words. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, detail: string) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

const BASE = '/api/v1';
const loggedOutHandlers = new Set<() => void>();

/** Calls back when the node no longer knows this browser; answers with how to stop listening. */
export function onLoggedOut(handler: () => void): () => void {
  loggedOutHandlers.add(handler);
  return () => void loggedOutHandlers.delete(handler);
}

/** One request; throws Problem, also when the node cannot be reached. */
export async function call<T>(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<T> {
  let response: Response;
  try {
    response = await fetch(BASE + path, {
      method,
      credentials: 'same-origin',
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch {
    throw new Problem(0, 'offline', 'The node does not answer. Is it running?');
  }
  if (response.status === 401 && path !== '/sessions') for (const handler of loggedOutHandlers) handler();
  if (response.status === 204) return undefined as T;
  const json = await response.json().catch(() => ({}));
  if (!response.ok)
    throw new Problem(
      response.status,
      json.code ?? 'unknown',
      json.detail ?? `The node answered ${response.status}.`,
    );
  return json as T;
}

/** The address of a file's content; parts escaped, slashes kept. */
export function fileUrl(name: string): string {
  return `${BASE}/files/${name.split('/').map(encodeURIComponent).join('/')}`;
}

// ---- the event stream, shared by everything on the page

export type Live = 'connecting' | 'live' | 'offline';
type Handler = (type: string, data: unknown) => void;
const handlers = new Set<Handler>();
const liveHandlers = new Set<(state: Live) => void>();
let live: Live = 'connecting';
let source: EventSource | undefined;
let reopening: ReturnType<typeof setTimeout> | undefined;
const REOPEN_MS = 3_000;

function setLive(state: Live): void {
  live = state;
  for (const handler of liveHandlers) handler(state);
}

/** Opens the stream. The browser connects again by itself after a cut, but gives up on a refusal: then this does. */
export function openEvents(): void {
  closeEvents();
  const opened = new EventSource(`${BASE}/events`);
  source = opened;
  source.onopen = () => setLive('live');
  source.onerror = () => {
    setLive('offline');
    if (opened.readyState === EventSource.CLOSED && source === opened)
      reopening = setTimeout(openEvents, REOPEN_MS);
  };
  for (const type of ['block', 'payment', 'audit', 'job', 'alert', 'peer']) {
    source.addEventListener(type, (event) => {
      const data: unknown = JSON.parse((event as MessageEvent<string>).data);
      for (const handler of handlers) handler(type, data);
    });
  }
}

export function closeEvents(): void {
  clearTimeout(reopening);
  source?.close();
  source = undefined;
}

export function useEvents(handler: Handler): void {
  const current = useRef(handler);
  current.current = handler;
  useEffect(() => {
    const relay: Handler = (type, data) => current.current(type, data);
    handlers.add(relay);
    return () => void handlers.delete(relay);
  }, []);
}

export function useLive(): Live {
  const [state, set] = useState(live);
  useEffect(() => {
    liveHandlers.add(set);
    // The stream may have opened between drawing and listening.
    set(live);
    return () => void liveHandlers.delete(set);
  }, []);
  return state;
}

export interface Loaded<T> {
  readonly data: T | undefined;
  readonly error: Problem | undefined;
  reload(): void;
}

const REFRESH_MS = 600;

/** What the node said of a path last. All pieces of a page that show it read this one, so that they never disagree. */
interface Resource {
  readonly path: string;
  data: unknown;
  error: Problem | undefined;
  /** The number of the newest request; 0 before the first. */
  turn: number;
  timer: ReturnType<typeof setTimeout> | undefined;
  readonly readers: Set<() => void>;
}
/** Bounded by what one page shows: a resource goes with its last reader. */
const resources = new Map<string, Resource>();

function load(resource: Resource): void {
  const turn = ++resource.turn;
  // An answer that a later question has overtaken is dropped: it is older.
  const settle = (change: Partial<Resource>): void => {
    if (turn !== resource.turn) return;
    Object.assign(resource, change);
    for (const changed of resource.readers) changed();
  };
  call('GET', resource.path).then(
    (data) => settle({ data, error: undefined }),
    (error: Problem) => settle({ error }),
  );
}

function loadSoon(resource: Resource): void {
  resource.timer ??= setTimeout(() => {
    resource.timer = undefined;
    load(resource);
  }, REFRESH_MS);
}

/** Reads a resource from now on; answers with how to stop. */
function read(path: string, changed: () => void): () => void {
  const resource: Resource = resources.get(path) ?? {
    path,
    data: undefined,
    error: undefined,
    turn: 0,
    timer: undefined,
    readers: new Set(),
  };
  resources.set(path, resource);
  resource.readers.add(changed);
  if (resource.turn === 0) load(resource);
  else changed();
  return () => {
    resource.readers.delete(changed);
    if (resource.readers.size > 0) return;
    clearTimeout(resource.timer);
    resource.turn++;
    resources.delete(path);
  };
}

/** Fetches again whatever a piece of the page reads of `path`, any part or page of it: the owner has just changed it. */
export function refresh(path: string): void {
  for (const resource of resources.values()) if (resource.path.startsWith(path)) load(resource);
}

/** A resource that is fetched again (at most every 0.6 s) when one of the named events comes, and on reconnection. */
export function useApi<T>(path: string | undefined, refreshOn: readonly string[] = ['block']): Loaded<T> {
  const [, changed] = useReducer((count: number, _: undefined) => count + 1, 0);
  const state = useLive();
  const before = useRef(state);
  const resource = path === undefined ? undefined : resources.get(path);
  useEffect(() => (path === undefined ? undefined : read(path, () => changed(undefined))), [path]);
  useEffect(() => {
    const reconnected = state === 'live' && before.current === 'offline';
    before.current = state;
    const current = path === undefined ? undefined : resources.get(path);
    if (reconnected && current !== undefined) loadSoon(current);
  }, [state, path]);
  useEvents((type) => {
    const current = path === undefined ? undefined : resources.get(path);
    if (refreshOn.includes(type) && current !== undefined) loadSoon(current);
  });
  return {
    data: resource?.data as T | undefined,
    error: resource?.error,
    reload: () => {
      const current = path === undefined ? undefined : resources.get(path);
      if (current !== undefined) load(current);
    },
  };
}
