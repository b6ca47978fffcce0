import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject, sign as signWith } from 'node:crypto';
import test from 'node:test';
import fc from 'fast-check';
import { concat, fromHex, u16, utf8 } from '../bytes.ts';
import { publicKeyOf } from '../crypto/secp256k1.ts';
import { sha256 } from '../crypto/sha256.ts';
import { LedgerError, type LedgerErrorCode } from '../errors.ts';
import { grains } from '../grains.ts';
import { type AccountId, type ChainId, type EkId, hashId, keyId, type NodeId } from '../ids.ts';
import { encodeQuote, parseQuote, parseTpmSignature } from './attest.ts';
import {
  type ClaimStatementInput,
  checkClaimStatement,
  claimDigest,
  SOFTWARE_FIRMWARE,
} from './claim-statement.ts';
import { ENDORSEMENT_BYTES, type Endorsement, parseEndorsement, signEndorsement } from './endorsement.ts';
import { isLowSP256, toLowSP256 } from './p256.ts';
import { attestationKeyArea, checkAttestationKey } from './public-area.ts';

const secret = (name: string) => sha256(utf8(name));
const account = (name: string) => keyId<AccountId>(publicKeyOf(secret(name)));
const nodeOf = (name: string) => keyId<NodeId>(publicKeyOf(secret(name)));
const chainId = hashId<ChainId>(secret('chain'));
const otherChain = hashId<ChainId>(secret('other chain'));
const ekId = hashId<EkId>(secret('chip'));

interface Chip {
  readonly area: Uint8Array;
  readonly privateKey: KeyObject;
}

function makeChip(): Chip {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { x, y } = pair.publicKey.export({ format: 'jwk' }) as { x: string; y: string };
  const coordinate = (text: string) => Uint8Array.from(Buffer.from(text, 'base64url'));
  return { area: attestationKeyArea(coordinate(x), coordinate(y)), privateKey: pair.privateKey };
}

const chip = makeChip();

function quoteBy({ area }: Chip, extraData: Uint8Array, firmware = 7n): Uint8Array {
  const { qualifiedName } = checkAttestationKey(area);
  return encodeQuote({
    qualifiedSigner: qualifiedName,
    extraData,
    clockMs: 5n,
    resetCount: 1,
    restartCount: 0,
    firmware,
  });
}

function signedBy({ privateKey }: Chip, attest: Uint8Array): Uint8Array {
  return toLowSP256(
    Uint8Array.from(signWith('sha256', attest, { key: privateKey, dsaEncoding: 'ieee-p1363' })),
  );
}

function endorsementOf(changes: Partial<Endorsement> = {}, signer = 'issuer'): Uint8Array {
  const endorsement: Endorsement = {
    chainId,
    ekId,
    denominationGrains: grains(1_000n),
    issuer: account('issuer'),
    attestationKey: chip.area,
    ...changes,
  };
  return signEndorsement(endorsement, secret(signer));
}

const attest = quoteBy(chip, claimDigest(chainId, ekId, nodeOf('node'), account('owner')));
const valid: ClaimStatementInput = {
  chainId,
  chainKind: 'public',
  issuers: [account('issuer')],
  nodeId: nodeOf('node'),
  accountId: account('owner'),
  endorsement: endorsementOf(),
  attest,
  signature: signedBy(chip, attest),
};

function refused(changes: Partial<ClaimStatementInput>, ...codes: LedgerErrorCode[]): void {
  assert.throws(
    () => checkClaimStatement({ ...valid, ...changes }),
    (error) =>
      error instanceof LedgerError && (codes.includes(error.code) || assert.fail(`got ${error.code}`)),
  );
}

test('a valid claim names its chip and its denomination', () => {
  const claim = checkClaimStatement(valid);
  assert.equal(claim.ekId, ekId);
  assert.equal(claim.denominationGrains, 1_000n);
  assert.equal(claim.akName.length, 34);
  assert.equal(valid.attest.length, 139);
});

test('the claim digest has the documented bytes', () => {
  const expected = sha256(
    utf8('tpm-claim/1'),
    Uint8Array.of(0),
    fromHex(chainId) as Uint8Array,
    fromHex(ekId) as Uint8Array,
    publicKeyOf(secret('node')),
    u16(33),
    publicKeyOf(secret('owner')),
  );
  assert.deepEqual(claimDigest(chainId, ekId, nodeOf('node'), account('owner')), expected);
});

test('account, node or chain changed after the quote is refused', () => {
  refused({ accountId: account('thief') }, 'attest-extra');
  refused({ nodeId: nodeOf('another') }, 'attest-extra');
  refused({ chainId: otherChain }, 'endorsement-chain');
  refused({ chainId: otherChain, endorsement: endorsementOf({ chainId: otherChain }) }, 'attest-extra');
  refused({ endorsement: endorsementOf({ ekId: hashId<EkId>(secret('another chip')) }) }, 'attest-extra');
});

test('an endorsement by a stranger, or in an issuer’s name, is refused', () => {
  refused({ endorsement: endorsementOf({ issuer: account('stranger') }, 'stranger') }, 'issuer-unknown');
  refused({ endorsement: endorsementOf({}, 'stranger') }, 'endorsement-signature');
});

test('a quote by another chip is refused', () => {
  const other = makeChip();
  const foreign = quoteBy(other, claimDigest(chainId, ekId, nodeOf('node'), account('owner')));
  refused({ attest: foreign, signature: signedBy(other, foreign) }, 'attest-signer');
  refused({ signature: signedBy(other, valid.attest) }, 'attest-signature');
});

test('the high-S twin of a good signature is refused', () => {
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const s = order - BigInt(`0x${Buffer.from(valid.signature.subarray(32)).toString('hex')}`);
  const twin = concat(
    valid.signature.subarray(0, 32),
    fromHex(s.toString(16).padStart(64, '0')) as Uint8Array,
  );
  assert.equal(isLowSP256(twin), false);
  assert.deepEqual(toLowSP256(twin), valid.signature);
  refused({ signature: twin }, 'attest-high-s');
});

test('each rule for the attestation key has its own reason', () => {
  const changed = (at: number, ...bytes: number[]) => {
    const area = chip.area.slice();
    area.set(bytes, at);
    return { endorsement: endorsementOf({ attestationKey: area }) };
  };
  const rsa = concat(
    Uint8Array.of(0, 1, 0, 11, 0, 5, 0, 0x72, 0, 0, 0, 16, 0, 0x14, 0, 11, 8, 0, 0, 0, 0, 0, 0, 64),
    new Uint8Array(64),
  );
  refused({ endorsement: endorsementOf({ attestationKey: rsa }) }, 'ak-type');
  for (let bit = 0; bit < 32; bit++) {
    const at = 4 + (bit >> 3);
    refused(changed(at, (chip.area[at] as number) ^ (1 << (bit & 7))), 'ak-attributes');
  }
  refused(changed(3, 0x0c), 'ak-scheme');
  refused(changed(17, 4), 'ak-scheme');
  refused(changed(15, 0x1a), 'ak-scheme');
  refused(changed(24, (chip.area[24] as number) ^ 1), 'ak-point');
  refused(changed(22, ...new Uint8Array(32).fill(255)), 'ak-point');
  refused(changed(0, 0, 8), 'ak-encoding');
  const policy = concat(chip.area.subarray(0, 8), Uint8Array.of(0, 1, 9), chip.area.subarray(10));
  assert.throws(
    () => checkAttestationKey(policy),
    (error) => error instanceof LedgerError && error.code === 'ak-policy',
  );
});

test('a software TPM is taken on a development chain and nowhere else', () => {
  const soft = quoteBy(chip, claimDigest(chainId, ekId, nodeOf('node'), account('owner')), SOFTWARE_FIRMWARE);
  const changes = { attest: soft, signature: signedBy(chip, soft) };
  refused(changes, 'software-tpm-refused');
  assert.equal(checkClaimStatement({ ...valid, ...changes, chainKind: 'dev' }).ekId, ekId);
});

/** Which refusals a changed byte may bring, by the field that it belongs to. */
function endorsementReasons(offset: number): LedgerErrorCode[] {
  if (offset === 0) return ['endorsement-version'];
  if (offset < 33) return ['endorsement-chain'];
  if (offset < 73) return ['endorsement-signature'];
  if (offset < 106) return ['issuer-unknown'];
  if (offset < 108) return ['endorsement-encoding'];
  return ['endorsement-signature'];
}

function attestReasons(offset: number): LedgerErrorCode[] {
  if (offset < 4) return ['attest-encoding'];
  if (offset < 6) return ['attest-type'];
  if (offset < 8) return ['attest-encoding'];
  if (offset < 42) return ['attest-signer'];
  if (offset < 44) return ['attest-encoding'];
  if (offset < 76) return ['attest-extra'];
  if (offset < 92) return ['attest-signature'];
  if (offset === 92) return ['attest-encoding', 'attest-signature'];
  if (offset < 101) return ['attest-signature'];
  if (offset < 107) return ['attest-encoding'];
  return ['attest-signature'];
}

test('every single-bit flip of a claim is refused with the reason of its field', () => {
  const reasons = {
    endorsement: endorsementReasons,
    attest: attestReasons,
    signature: (): LedgerErrorCode[] => ['attest-signature', 'attest-high-s'],
  };
  for (const field of ['endorsement', 'attest', 'signature'] as const) {
    for (let bit = 0; bit < valid[field].length * 8; bit++) {
      const bytes = valid[field].slice();
      bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
      refused({ [field]: bytes }, ...reasons[field](bit >> 3));
    }
  }
});

test('every truncation and every extension of a claim is refused', () => {
  const reasons: Record<string, LedgerErrorCode> = {
    endorsement: 'endorsement-encoding',
    attest: 'attest-encoding',
    signature: 'attest-signature',
  };
  for (const field of ['endorsement', 'attest', 'signature'] as const) {
    for (let length = 0; length < valid[field].length; length++)
      refused({ [field]: valid[field].subarray(0, length) }, reasons[field] as LedgerErrorCode);
    refused({ [field]: concat(valid[field], Uint8Array.of(0)) }, reasons[field] as LedgerErrorCode);
  }
});

test('random bytes never throw anything but a LedgerError', () => {
  const onlyCoded = (act: () => unknown) => {
    try {
      act();
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error;
    }
  };
  const noise = fc.uint8Array({ maxLength: 700 });
  fc.assert(
    fc.property(noise, noise, fc.nat(), fc.uint8Array({ maxLength: 8 }), (a, b, at, patch) => {
      onlyCoded(() => checkClaimStatement({ ...valid, endorsement: a, attest: b, signature: b }));
      onlyCoded(() => parseQuote(a));
      onlyCoded(() => parseTpmSignature(a));
      onlyCoded(() => checkAttestationKey(a));
      const spliced = valid.attest.slice();
      spliced.set(patch, at % (spliced.length - 8));
      onlyCoded(() => checkClaimStatement({ ...valid, attest: spliced }));
      const area = chip.area.slice();
      area.set(patch, at % (area.length - 8));
      onlyCoded(() => checkAttestationKey(area));
    }),
  );
});

test('an endorsement reads back as it was signed', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (amount) => {
      const bytes = endorsementOf({ denominationGrains: grains(amount) });
      assert.equal(bytes.length, ENDORSEMENT_BYTES);
      assert.equal(parseEndorsement(bytes).denominationGrains, amount);
    }),
    { numRuns: 20 },
  );
});

test('a TPM signature with short r and s is padded', () => {
  const bytes = concat(Uint8Array.of(0, 0x18, 0, 11, 0, 1, 9, 0, 2, 1, 2));
  const signature = parseTpmSignature(bytes);
  assert.equal(signature.length, 64);
  assert.equal(signature[31], 9);
  assert.deepEqual([...signature.subarray(62)], [1, 2]);
  assert.throws(() => parseTpmSignature(concat(bytes, Uint8Array.of(0))), LedgerError);
});
