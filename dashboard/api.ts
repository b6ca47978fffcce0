/** The node's REST API as the pages use it: types, requests, and a hook that stays fresh with the event stream. */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';

export interface Page<T> {
  items: T[];
  nextCursor: string | null;
}
export interface Status {
  version: string;
  chainId: string;
  chainName: string;
  chainKind: string;
  nodeId: string;
  accountId: string;
  height: number;
  finalizedAt: string | null;
  finalityMs: number | null;
  view: number;
  period: number;
  periodMs: number;
  periodStartedAt: string;
  committee: { size: number; quorum: number; member: boolean };
  peerCount: number;
  uptimeMs: number;
  storage: { offeredBytes: number; usedBytes: number };
  catchingUpTo: number | null;
  halted: string | null;
}
export interface Sums {
  totalGrains: string;
  storageGrains: string;
  egressGrains: string;
  relayGrains: string;
  feeGrains: string;
  penaltyGrains: string;
}
export interface Earnings extends Sums {
  projectedMonthGrains: string;
  byPeriod: (Sums & { period: number; startedAt: string | null })[];
  byContract: (Sums & { contractId: string })[];
}
export interface Contract {
  id: string;
  state: 'active' | 'ended' | 'failed' | 'closed';
  renterId: string;
  hostAccountId: string;
  hostNodeId: string | null;
  sizeBytes: number;
  priceGrainsPerGiBPeriod: string;
  egressGrainsPerGiB: string;
  startPeriod: number;
  endPeriod: number;
  nextPeriod: number;
  provableUntilPeriod: number;
  revision: number;
  escrowGrains: string;
  collateralGrains: string;
  paidStorageGrains: string;
  paidEgressGrains: string;
  penaltyGrains: string;
  paidPeriods: number;
  missedPeriods: number;
  missedInARow: number;
  openedHeight: number;
}
export interface Block {
  id: string;
  height: number;
  view: number;
  parentId: string;
  timestamp: string;
  proposer: string;
  stateRoot: string;
  transactionCount: number;
  status: 'final' | 'notarized' | 'proposed' | 'abandoned';
}
export interface Transaction {
  id: string;
  kind: string;
  sender: string;
  nonce: number;
  feeGrains: string;
  status: string;
  height: number | null;
  timestamp: string | null;
  body: Record<string, unknown>;
}
export interface HistoryEntry {
  height: number;
  timestamp: string;
  reason: string;
  direction: 'in' | 'out';
  amountGrains: string;
  otherId: string | null;
  transactionId: string | null;
  contractId: string | null;
  period: number | null;
  memo: string | null;
}
export interface Health {
  state: 'healthy' | 'degraded' | 'lost';
  fragmentsAlive: number;
  fragmentsNeeded: number;
  fragmentsTotal: number;
}
export interface StoredFile {
  name: string;
  sizeBytes: number;
  createdAt: string;
  redundancy: { data: number; parity: number; weak: boolean };
  storedBytes: number;
  health: Health;
}
export interface Offer {
  priceGrainsPerGiBPeriod: string;
  egressGrainsPerGiB: string;
  collateralPercent: number;
  periodsMin: number;
  periodsMax: number;
}
export interface Volume {
  id: string;
  folder: string;
  limitBytes: number;
  usedBytes: number;
  fragments: number;
  draining: boolean;
}
export interface Audit {
  contractId: string;
  hostNodeId: string;
  period: number;
  at: string;
  ok: boolean;
  latencyMs: number;
  reason: string | null;
}
export interface NetworkNode {
  nodeId: string;
  ownerId: string;
  addresses: string[];
  offer: Offer | null;
  committeeMember: boolean;
  connected: boolean;
  self: boolean;
  score: number | null;
  scoreFactors: Record<string, number> | null;
  suspended: string | null;
}
export interface Alert {
  id: string;
  severity: 'info' | 'warning' | 'critical';
  title: string;
  whatToDo: string;
}
export interface TpmStatus {
  kind: string;
  ekId: string;
  manufacturer: string;
  endorsed: boolean;
  claimed: { height: number; denominationGrains: string } | null;
}
export interface Token {
  id: string;
  name: string;
  role: string;
  createdAt: string;
}

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
