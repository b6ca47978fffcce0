import { boundedText } from '../bounded-text.ts';
import { IssuerError, type IssuerErrorCode, isIssuerErrorCode } from './issuer-error.ts';

/** The owner's half of `POST /issuer/requests`: one HTTPS request to an issuer's node. */

const PATH = 'api/v1/issuer/requests';
const DEADLINE_MS = 30_000;
const ANSWER_BYTES_MAX = 65_536;
const ADDRESS_CHARACTERS_MAX = 2_048;
/** Of what a stranger's server says, this much is shown. */
const DETAIL_CHARACTERS_MAX = 300;

/**
 * Where an issuer takes requests, from the address of its node. Plain HTTP is for this machine alone. Throws IssuerError
 * `issuer-address`.
 */
export function issuerEndpoint(address: string): URL {
  const bad = (expected: string) =>
    new IssuerError('issuer-address', `expected the address of an issuer, ${expected}`);
  if (address.length > ADDRESS_CHARACTERS_MAX) throw bad(`at most ${ADDRESS_CHARACTERS_MAX} characters`);
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    throw bad('such as https://issuer.example');
  }
  if (url.username !== '' || url.password !== '') throw bad('without a name or password in it');
  const isHere = ['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isHere)) throw bad('https://…');
  const folder = url.pathname.endsWith('/') ? url.pathname : `${url.pathname}/`;
  return new URL(`${folder}${PATH}`, url.origin);
}

/**
 * Sends the text of a request, gives the text of the answer. Throws IssuerError: `issuer-address`, `issuer-unreachable`,
 * the issuer's own code where it has one of ours, else `issuer-refused` with what it said.
 */
export async function askIssuer(address: string, requestText: string): Promise<string> {
  const url = issuerEndpoint(address);
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: requestText,
      redirect: 'error',
      signal: AbortSignal.timeout(DEADLINE_MS),
    });
    text = await answerText(response);
  } catch (error) {
    if (error instanceof IssuerError) throw error;
    throw new IssuerError('issuer-unreachable', `${url.host} does not answer (${reasonOf(error)})`);
  }
  if (response.ok) return text;
  throw refusal(url, response.status, text);
}

async function answerText(response: Response): Promise<string> {
  const text = await boundedText(response, ANSWER_BYTES_MAX);
  if (text !== undefined) return text;
  throw new IssuerError('issuer-refused', `the issuer answered with more than ${ANSWER_BYTES_MAX} bytes`);
}

function refusal(url: URL, status: number, text: string): IssuerError {
  const problem = parsed(text);
  const code: IssuerErrorCode = isIssuerErrorCode(problem.code) ? problem.code : 'issuer-refused';
  const detail = typeof problem.detail === 'string' ? printable(problem.detail) : `HTTP status ${status}`;
  return new IssuerError(code, `the issuer ${url.host} refuses: ${detail}`);
}

function parsed(text: string): { readonly code?: unknown; readonly detail?: unknown } {
  try {
    return (JSON.parse(text) as object | null) ?? {};
  } catch {
    return {};
  }
}

/** A stranger's text without what would move a terminal's cursor, and not too much of it. */
function printable(text: string): string {
  return text.replace(/\p{C}/gu, ' ').slice(0, DETAIL_CHARACTERS_MAX);
}

function reasonOf(error: unknown): string {
  const { cause, name, message } = error as Error & { cause?: { code?: string; message?: string } };
  return name === 'TimeoutError'
    ? `waited ${DEADLINE_MS / 1_000} s`
    : (cause?.code ?? cause?.message ?? message);
}
