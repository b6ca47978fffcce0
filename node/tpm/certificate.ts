import { type KeyObject, X509Certificate } from 'node:crypto';
import { IssuerError } from './issuer-error.ts';

const CHAIN_LENGTH_MAX = 5;

/** Names that the certificate authorities of TPM emulators give themselves. */
const EMULATOR_CA = /swtpm|libtpms|localca|simulator|emulator/i;

/** A certificate from DER or PEM. Throws IssuerError `certificate-malformed`. */
export function readCertificate(bytes: Uint8Array | string): X509Certificate {
  try {
    return new X509Certificate(bytes);
  } catch {
    throw new IssuerError('certificate-malformed', 'a certificate cannot be read');
  }
}

function signedBy(certificate: X509Certificate, parent: X509Certificate): boolean {
  try {
    return parent.ca && certificate.checkIssued(parent) && certificate.verify(parent.publicKey);
  } catch {
    return false;
  }
}

function demandInForce(certificate: X509Certificate, nowMs: number): void {
  if (Date.parse(certificate.validFrom) > nowMs || Date.parse(certificate.validTo) < nowMs)
    throw new IssuerError(
      'certificate-expired',
      `the certificate "${certificate.subject}" is valid from ${certificate.validFrom} to ${certificate.validTo}`,
    );
}

/**
 * Checks that `certificates[0]` (DER) certifies `ekKey`, and that a chain over the others leads to one of `pinned`:
 * manufacturers' roots, or intermediate authorities trusted as such. Returns the pinned certificate that vouches.
 * Throws IssuerError `certificate-*`, or `emulator-refused` where an unpinned emulator's authority signed.
 */
export function checkEkCertificate(
  certificates: readonly Uint8Array[],
  ekKey: KeyObject,
  pinned: readonly X509Certificate[],
  nowMs: number,
): X509Certificate {
  const [leafBytes, ...others] = certificates;
  if (leafBytes === undefined)
    throw new IssuerError('certificate-missing', 'the chip brought no manufacturer’s certificate');
  const leaf = readCertificate(leafBytes);
  if (!sameKey(leaf, ekKey))
    throw new IssuerError('certificate-other-key', 'the certificate is for another endorsement key');
  const carried = others.map(readCertificate);
  let current = leaf;
  for (let length = 0; length < CHAIN_LENGTH_MAX; length++) {
    demandInForce(current, nowMs);
    const anchor = pinned.find((candidate) => signedBy(current, candidate));
    if (anchor !== undefined) {
      demandInForce(anchor, nowMs);
      return anchor;
    }
    const parent = carried.find((candidate) => signedBy(current, candidate));
    if (parent === undefined) break;
    current = parent;
  }
  const by = current.issuer.replaceAll('\n', ', ');
  if (EMULATOR_CA.test(by))
    throw new IssuerError('emulator-refused', `an emulator's authority (${by}) certified this chip`);
  throw new IssuerError(
    'certificate-untrusted',
    `no pinned root certifies this chip; it was signed by ${by}`,
  );
}

function sameKey(certificate: X509Certificate, key: KeyObject): boolean {
  try {
    return certificate.publicKey.equals(key);
  } catch {
    throw new IssuerError('certificate-malformed', 'the certificate’s key cannot be read');
  }
}
