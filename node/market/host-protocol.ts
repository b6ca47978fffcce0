import * as P from 'micro-packed';
import { concat } from '../../ledger/bytes.ts';
import {
  boundedList,
  type Codec,
  contractIdCodec,
  decode,
  encode,
  hashCodec,
  safeU64,
  signatureCodec,
} from '../../ledger/codec.ts';
import {
  type AccountId,
  type ContractId,
  type Hash,
  hashId,
  idBytes,
  type NodeId,
} from '../../ledger/ids.ts';
import { FRAGMENT_BYTES, LEAF_BYTES } from '../../ledger/merkle.ts';
import { type LeafProof, revisionCodec, termsCodec } from '../../ledger/storage-formats.ts';
import { MarketError } from '../../market/errors.ts';
import { decodeList, encodeList } from '../../market/fragment-list.ts';
import { type Host, ROOTS_MAX } from '../../market/host/host.ts';
import { decodeNote, encodeNote } from '../../market/host/notes.ts';
import type { HostLink, Receipt } from '../../market/interfaces.ts';
import { NOTE_BYTES_MAX } from '../../market/renter/note.ts';
import { KIND } from '../network/kinds.ts';
import type { Network } from '../network/network.ts';

/** What renters and hosts say to each other over links; fragments over bulk connections. */

const FRAGMENT_MS = 30_000;
const SIGN_MS = 20_000;
const CHALLENGE_MS = 10_000;
const LEAVES_MAX = 16;

const termsRequest = P.struct({
  terms: termsCodec,
  added: boundedList(ROOTS_MAX, hashCodec),
});
const revisionRequest = P.struct({
  revision: revisionCodec,
  added: boundedList(ROOTS_MAX, hashCodec),
  removed: boundedList(ROOTS_MAX, hashCodec),
});
const closeRequest = P.struct({ contractId: contractIdCodec, egressBytes: safeU64 });
const listRequest = P.struct({ contractId: contractIdCodec, from: P.U32BE });
const challengeRequest = P.struct({
  contractId: contractIdCodec,
  revision: P.U32BE,
  leaves: boundedList(LEAVES_MAX, P.U32BE),
});
const proofsAnswer = boundedList(
  LEAVES_MAX,
  P.struct({ leaf: P.bytes(LEAF_BYTES), path: boundedList(40, hashCodec) }),
) as unknown as Codec<LeafProof[]>;
const receiptCodec = P.struct({
  contractId: contractIdCodec,
  throughPeriod: P.U32BE,
  revision: P.U32BE,
  egressBytes: safeU64,
  renterSignature: signatureCodec,
}) as Codec<Receipt>;

/** The renter's end. */
export function hostLink(network: Pick<Network, 'connected' | 'request'>): HostLink {
  return {
    reachable: (host) => network.connected(host),
    async storeFragment(host, root, bytes) {
      await network.request(host, KIND.storeFragment, concat(idBytes(root), bytes), {
        bulk: true,
        deadlineMs: FRAGMENT_MS,
      });
    },
    fetchFragment: (host, root, { first, count }) =>
      network.request(host, KIND.fetchFragment, concat(idBytes(root), Uint8Array.of(first, count)), {
        bulk: true,
        deadlineMs: FRAGMENT_MS,
      }),
    signTerms: (host, terms, added) =>
      network.request(host, KIND.signTerms, encode(termsRequest, { terms, added: [...added] }, 'terms'), {
        deadlineMs: SIGN_MS,
      }),
    signRevision: (host, revision, added, removed) =>
      network.request(
        host,
        KIND.signRevision,
        encode(revisionRequest, { revision, added: [...added], removed: [...removed] }, 'revision'),
        { deadlineMs: SIGN_MS },
      ),
    signClose: (host, contractId, egressBytes) =>
      network.request(host, KIND.signClose, encode(closeRequest, { contractId, egressBytes }, 'closing'), {
        deadlineMs: SIGN_MS,
      }),
    async challenge(host, contractId, revision, leaves) {
      const body = encode(challengeRequest, { contractId, revision, leaves: [...leaves] }, 'challenge');
      return decode(
        proofsAnswer,
        await network.request(host, KIND.challenge, body, { deadlineMs: CHALLENGE_MS }),
        'proofs',
      );
    },
    async deliverReceipt(host, receipt) {
      await network.request(host, KIND.receipt, encode(receiptCodec, receipt, 'receipt'));
    },
    async keepNote(host, note) {
      await network.request(host, KIND.keepNote, encodeNote(note), { bulk: true, deadlineMs: SIGN_MS });
    },
    fetchNote: async (host) =>
      decodeNote(
        await network.request(host, KIND.fetchNote, new Uint8Array(0), { bulk: true, deadlineMs: SIGN_MS }),
      ),
    listFragments: async (host, contractId, from) => {
      const body = encode(listRequest, { contractId, from }, 'a place in a list');
      const answer = await network.request(host, KIND.listFragments, body, {
        bulk: true,
        deadlineMs: SIGN_MS,
      });
      if (answer.length % 32 !== 0 || answer.length > 32 * ROOTS_MAX)
        throw new MarketError('damaged', 'the host answered with what is no list');
      return decodeList(answer);
    },
  };
}

/** The host's end. `ownerOf` gives the account behind a node that claimed. */
export function serveHost(
  network: Pick<Network, 'handle'>,
  host: Host,
  ownerOf: (nodeId: NodeId) => AccountId | undefined,
  receive: (receipt: Receipt) => Promise<void>,
): void {
  const renterOf = (peer: NodeId): AccountId => {
    const owner = ownerOf(peer);
    if (owner === undefined)
      throw new MarketError('contract-unknown', 'only nodes with a claimed TPM rent storage');
    return owner;
  };
  network.handle(KIND.storeFragment, 32 + FRAGMENT_BYTES, async (peer, body) => {
    await host.storeFragment(renterOf(peer), hashId<Hash>(body.subarray(0, 32)), body.subarray(32));
    return undefined;
  });
  network.handle(KIND.fetchFragment, 34, (peer, body) => {
    const [first = 0, count = 0] = body.subarray(32);
    return host.readFragment(renterOf(peer), hashId<Hash>(body.subarray(0, 32)), { first, count });
  });
  network.handle(KIND.signTerms, 40 * ROOTS_MAX, (peer, body) => {
    const { terms, added } = decode(termsRequest, body, 'terms and fragments');
    return host.signTerms(renterOf(peer), terms, added);
  });
  network.handle(KIND.signRevision, 80 * ROOTS_MAX, (peer, body) => {
    const { revision, added, removed } = decode(revisionRequest, body, 'a revision and fragments');
    return host.signRevision(renterOf(peer), revision, added, removed);
  });
  network.handle(KIND.signClose, 64, (peer, body) => {
    const { contractId, egressBytes } = decode(closeRequest, body, 'a closing');
    return host.signClose(renterOf(peer), contractId as ContractId, egressBytes);
  });
  network.handle(KIND.challenge, 128, async (peer, body) => {
    const { contractId, revision, leaves } = decode(challengeRequest, body, 'a challenge');
    const proofs = await host.answerChallenge(renterOf(peer), contractId as ContractId, revision, leaves);
    return encode(proofsAnswer, [...proofs], 'proofs');
  });
  network.handle(KIND.keepNote, 8 + NOTE_BYTES_MAX, async (peer, body) => {
    await host.keepNote(renterOf(peer), decodeNote(body));
    return undefined;
  });
  network.handle(KIND.fetchNote, 0, (peer) => encodeNote(host.noteOf(renterOf(peer))));
  network.handle(KIND.listFragments, 36, (peer, body) => {
    const { contractId, from } = decode(listRequest, body, 'a place in a list');
    return encodeList(host.listFragments(renterOf(peer), contractId as ContractId, from));
  });
  network.handle(KIND.receipt, 160, async (_, body) => {
    await receive(decode(receiptCodec, body, 'a receipt'));
    return undefined;
  });
}
