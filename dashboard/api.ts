/** The node's REST API as the pages use it: types, requests, and a hook that stays fresh with the event stream. */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import type { Operations } from './generated/api.ts';

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
export type Offer = NonNullable<Answer<'GET /host/offer'>['offer']>;
export type Volume = Item<'GET /host/volumes'>;
export type Audit = Item<'GET /host/audits'>;
export type NetworkNode = Item<'GET /ledger/nodes'>;
export type Job = Item<'GET /jobs'>;
export type Alert = Item<'GET /alerts'>;
export type TpmStatus = Answer<'GET /tpm'>;
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

/** A resource that is fetched again (at most every 0.6 s) when one of the named events comes, and on reconnection. */
export function useApi<T>(path: string | undefined, refreshOn: readonly string[] = ['block']): Loaded<T> {
  const [data, setData] = useState<T>();
  const [error, setError] = useState<Problem>();
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const newest = useRef(0);
  const state = useLive();
  const load = useCallback(() => {
    if (path === undefined) return;
    // An answer that a later question has overtaken is dropped: it is older, or about something else.
    const turn = ++newest.current;
    call<T>('GET', path).then(
      (value) => {
        if (turn !== newest.current) return;
        setData(value);
        setError(undefined);
      },
      (problem: Problem) => {
        if (turn === newest.current) setError(problem);
      },
    );
  }, [path]);
  useEffect(() => {
    setData(undefined);
    load();
  }, [load]);
  useEffect(() => {
    if (state === 'live') load();
  }, [state, load]);
  useEvents((type) => {
    if (!refreshOn.includes(type) || timer.current !== undefined) return;
    timer.current = setTimeout(() => {
      timer.current = undefined;
      load();
    }, REFRESH_MS);
  });
  useEffect(
    () => () => {
      clearTimeout(timer.current);
      newest.current++;
    },
    [],
  );
  return { data, error, reload: load };
}
