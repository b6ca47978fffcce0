/** Numbers of the TPM 2.0 Library specification (Part 2, "Structures"), those that are used here. */

/** TPM_ALG_ID. */
export const ALG = {
  rsa: 0x0001,
  aes: 0x0006,
  keyedHash: 0x0008,
  sha256: 0x000b,
  null: 0x0010,
  ecdsa: 0x0018,
  ecc: 0x0023,
  cfb: 0x0043,
} as const;

/** TPM_RH: hierarchies and the password "session". */
export const HANDLE = {
  owner: 0x40000001,
  null: 0x40000007,
  password: 0x40000009,
  endorsement: 0x4000000b,
} as const;

/** TPM_ECC_NIST_P256. */
export const CURVE_P256 = 0x0003;

/** TPM_GENERATED_VALUE: what only a TPM can put in front of a structure that its restricted key signs. */
export const GENERATED_MAGIC = 0xff544347;

/** TPM_ST_ATTEST_QUOTE. */
export const ATTEST_QUOTE = 0x8018;

/**
 * The only TPMA_OBJECT accepted for an attestation key: fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth,
 * restricted, sign. `restricted` carries the security: an unrestricted key signs forged statements.
 */
export const AK_ATTRIBUTES = 0x00050072;
