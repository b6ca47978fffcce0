import { LedgerError } from '../../ledger/errors.ts';
import { MarketError, type MarketErrorCode } from '../../market/errors.ts';
import { NodeError, type NodeErrorCode } from '../errors.ts';
import { NetworkError } from '../network/network-error.ts';
import { IssuerError, type IssuerErrorCode } from '../tpm/issuer-error.ts';
import { TpmError } from '../tpm/tpm.ts';

/** An answer that is a problem (RFC 9457). */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, detail: string) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

export const notFound = (what: string): ApiError => new ApiError(404, 'not-found', `there is no ${what}`);

const MARKET_STATUS: Partial<Record<MarketErrorCode, number>> = {
  'not-found': 404,
  'unknown-volume': 404,
  exists: 409,
  'not-recovered': 409,
  outdated: 409,
  'not-enough-hosts': 503,
  'not-enough-fragments': 503,
  'no-room': 507,
  'bad-range': 416,
};
const NODE_STATUS: Partial<Record<NodeErrorCode, number>> = {
  'not-found': 404,
  'bad-folder': 422,
  exists: 409,
  timeout: 504,
  'unknown-outcome': 502,
  'not-running': 503,
  'not-synced': 503,
  pruned: 410,
  'disk-full': 507,
  'no-tpm': 409,
};
/** What is wrong with a request is 422 unless it says otherwise here. */
const ISSUER_STATUS: Partial<Record<IssuerErrorCode, number>> = {
  'bad-file': 400,
  'software-refused': 403,
  'emulator-refused': 403,
  'certificate-untrusted': 403,
  'denomination-changed': 409,
  'not-an-issuer': 404,
  'not-endorsed': 409,
  overloaded: 503,
  'log-damaged': 500,
  'issuer-key': 500,
  'issuer-unreachable': 502,
  'issuer-refused': 502,
};

export interface ProblemJson {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
}

export function problem(status: number, code: string, detail: string): ProblemJson {
  return { type: `urn:blocktree:${code}`, title: code.replaceAll('-', ' '), status, detail, code };
}

/** The problem that an error is; `undefined` for one that nobody foresaw. */
export function problemOf(error: unknown): ProblemJson | undefined {
  if (error instanceof ApiError) return problem(error.status, error.code, error.message);
  if (error instanceof LedgerError)
    return problem(error.code === 'oversized' ? 413 : 422, error.code, error.message);
  if (error instanceof MarketError)
    return problem(MARKET_STATUS[error.code] ?? 422, error.code, error.message);
  if (error instanceof NodeError) return problem(NODE_STATUS[error.code] ?? 500, error.code, error.message);
  if (error instanceof IssuerError)
    return problem(ISSUER_STATUS[error.code] ?? 422, error.code, error.message);
  // The chip's own trouble, told apart from the node's: its code says which.
  if (error instanceof TpmError) return problem(503, `tpm-${error.code}`, error.message);
  if (error instanceof NetworkError) return problem(502, error.remoteCode ?? error.code, error.message);
  const { statusCode, validation, message, code } = error as {
    statusCode?: number;
    validation?: unknown;
    message?: string;
    code?: string;
  };
  if (validation !== undefined)
    return problem(400, 'bad-request', message ?? 'the request is not of the form it should have');
  if (code === 'FST_STATIC_FORBIDDEN_PATH') return problem(404, 'not-found', 'no page has such an address');
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    const name =
      statusCode === 413 ? 'oversized' : statusCode === 429 ? 'too-many-requests' : (code ?? 'bad-request');
    return problem(
      statusCode,
      name
        .toLowerCase()
        .replace(/^fst_err_/, '')
        .replaceAll('_', '-'),
      message ?? 'bad request',
    );
  }
  return undefined;
}
