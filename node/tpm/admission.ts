import { LedgerError } from '../../ledger/errors.ts';
import type { AccountId, ChainId, EkId, NodeId } from '../../ledger/ids.ts';
import {
  admissionDigest,
  checkAdmission,
  decodeAdmission,
  encodeAdmission,
} from '../../ledger/tpm/admission-statement.ts';
import { decodeTransaction, TRANSACTION_BYTES_MAX } from '../../ledger/transaction.ts';
import { KIND } from '../network/kinds.ts';
import type { Link } from '../network/link.ts';
import type { Network } from '../network/network.ts';
import { NetworkError } from '../network/network-error.ts';
import { type Tpm, TpmError } from './tpm.ts';

const EXPORTER_LABEL = 'EXPORTER-blocktree-admission';
/** A slow chip with a queue before it. */
const PROOF_DEADLINE_MS = 30_000;

/**
 * What everybody may use: to sync, to read, to prove oneself. Consensus messages too, since each carries the signature of
 * a committee member and is judged by that, whoever brings it.
 */
const OPEN: ReadonlySet<number> = new Set([
  KIND.records,
  KIND.testimony,
  KIND.twin,
  KIND.getHeaders,
  KIND.getBlocks,
  KIND.getStates,
  KIND.getChunk,
  KIND.admission,
  KIND.consensus,
]);

export interface AdmissionOptions {
  /** `claimed`: a peer's node key is bound to a claimed chip. `quote`: that chip also proves to be behind each link. */
  readonly mode: 'claimed' | 'quote';
  readonly network: Network;
  readonly chainId: ChainId;
  readonly issuers: readonly AccountId[];
  /** The chip that the final state binds to a node key. */
  ekOf(nodeId: NodeId): EkId | undefined;
  /** This node's own chip and its endorsement, once it has both: to answer those who demand a quote. */
  own(): Promise<OwnChip | undefined>;
}

interface OwnChip {
  readonly tpm: Tpm;
  readonly endorsement: Uint8Array;
}

/**
 * Keeps those without a claimed chip to what they may do: sync, read, and submit a claim, or the rebind that ties a chip
 * to a new key. Others are refused with `not-admitted`. Takes effect on all links at once.
 */
export function guardAdmission(options: AdmissionOptions): void {
  const { network, mode } = options;
  const proofs = new WeakMap<Link, Promise<void>>();
  answerProofs(options);
  network.admitBy((link, kind, body) => {
    if (OPEN.has(kind)) return undefined;
    const ekId = options.ekOf(link.peer);
    if (ekId === undefined) {
      if (kind === KIND.transaction && bindsChip(body)) return undefined;
      throw new NetworkError('not-admitted', 'this node has not claimed a TPM: it may sync, read and claim');
    }
    if (mode === 'claimed' || (kind === KIND.transaction && bindsChip(body))) return undefined;
    const begun = proofs.get(link);
    if (begun !== undefined) return begun;
    const proof = demandProof(options, link, ekId).catch((error) => {
      if (error instanceof NetworkError && error.remoteCode === undefined) proofs.delete(link);
      throw refusal(error);
    });
    proofs.set(link, proof);
    return proof;
  });
}

/** Whether it is a transaction after which its sender has a chip. */
function bindsChip(body: Uint8Array): boolean {
  if (body.length > TRANSACTION_BYTES_MAX) return false;
  try {
    const { kind } = decodeTransaction(body).body;
    return kind === 'claim' || kind === 'rebind';
  } catch (error) {
    if (error instanceof LedgerError) return false;
    throw error;
  }
}

function refusal(error: unknown): NetworkError {
  const reason = error instanceof Error ? error.message : String(error);
  return new NetworkError(
    'not-admitted',
    `the node did not prove that its chip is behind this link: ${reason}`,
  );
}

/** Asks the peer's chip to quote over this very connection, and checks that it is the chip of the peer's key. */
async function demandProof(
  { network, chainId, issuers }: AdmissionOptions,
  link: Link,
  ekId: EkId,
): Promise<void> {
  const reply = await link.request(KIND.admission, new Uint8Array(0), PROOF_DEADLINE_MS);
  const digest = admissionDigest(chainId, link.peer, network.nodeId, link.exporter(EXPORTER_LABEL));
  const proven = checkAdmission(decodeAdmission(reply), chainId, issuers, digest);
  if (proven !== ekId) throw new LedgerError('attest-signer', 'another chip than the one bound to its key');
}

/** Answers peers that demand a quote; once a link, so that nobody keeps the chip busy. */
function answerProofs({ network, chainId, own }: AdmissionOptions): void {
  const answers = new WeakMap<Link, Promise<Uint8Array>>();
  network.handle(KIND.admission, 0, async (peer, _, link) => {
    const before = answers.get(link);
    if (before !== undefined) return before;
    const chip = await own();
    if (chip === undefined) throw new NetworkError('not-admitted', 'this node has no endorsed TPM');
    const digest = admissionDigest(chainId, network.nodeId, peer, link.exporter(EXPORTER_LABEL));
    const answer = answers.get(link) ?? quoteOver(chip, digest);
    answers.set(link, answer);
    return answer;
  });
}

async function quoteOver({ tpm, endorsement }: OwnChip, digest: Uint8Array): Promise<Uint8Array> {
  try {
    return encodeAdmission({ endorsement, ...(await tpm.attest(digest)) });
  } catch (error) {
    if (error instanceof TpmError)
      throw new NetworkError('not-admitted', `the chip did not quote: ${error.code}`);
    throw error;
  }
}
