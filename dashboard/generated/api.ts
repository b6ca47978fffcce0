// Written by dashboard/generate-types.mjs from openapi.yaml; not for editing.

export type FileHealth = {
  readonly state: "healthy" | "degraded" | "lost";
  readonly fragmentsAlive: number;
  readonly fragmentsNeeded: number;
  readonly fragmentsTotal: number;
  readonly hosts: readonly ({
    /** node, node1… */
    readonly nodeId: string;
    readonly fragments: number;
    readonly alive: boolean;
  })[];
};

/** Every operation below /api/v1, by method and path. */
export interface Operations {
  "GET /status": {
    readonly answer: {
      readonly version: string;
      /** 64 hex digits */
      readonly chainId: string;
      readonly chainName: string;
      readonly chainKind: "public" | "dev";
      /** node, node1… */
      readonly nodeId: string;
      /** account, acorn1… */
      readonly accountId: string;
      /** of the newest final block */
      readonly height: number;
      readonly finalizedAt: string | null;
      readonly finalityMs: number | null;
      /** consensus epoch */
      readonly epoch: number;
      /** consensus view */
      readonly view: number;
      /** ledger period */
      readonly period: number;
      /** length of a period */
      readonly periodMs: number;
      /** ISO 8601 time, UTC */
      readonly periodStartedAt: string;
      readonly committee: {
        readonly size: number;
        readonly quorum: number;
        readonly member: boolean;
      };
      /** connected nodes */
      readonly peerCount: number;
      /** since this process started */
      readonly uptimeMs: number;
      readonly storage: {
        readonly offeredBytes: number;
        readonly usedBytes: number;
      };
      readonly catchingUpTo: number | null;
      readonly halted: string | null;
    };
  };
  "GET /health/live": {
    readonly answer: {
      readonly status: "ok";
    };
  };
  "GET /health/ready": {
    readonly answer: {
      readonly status: "ok";
    };
  };
  "GET /events": {
    readonly answer: undefined;
  };
  "GET /ledger/head": {
    readonly answer: {
      /** 64 hex digits */
      readonly id: string;
      /** distance from genesis */
      readonly height: number;
      readonly epoch: number;
      readonly view: number;
      /** 64 hex digits */
      readonly parentId: string;
      /** ISO 8601 time, UTC */
      readonly timestamp: string;
      /** node, node1… */
      readonly proposer: string;
      /** 64 hex digits */
      readonly txRoot: string;
      /** 64 hex digits */
      readonly stateRoot: string;
      readonly transactionCount: number | null;
      /** only the header is kept here */
      readonly pruned: boolean;
      readonly status: "final" | "notarized" | "proposed" | "abandoned";
    };
  };
  "GET /ledger/blocks": {
    readonly query: {
      /** nextCursor of the page before */
      readonly cursor?: string;
      readonly limit?: number;
    };
    readonly answer: {
      readonly items: readonly ({
        /** 64 hex digits */
        readonly id: string;
        /** distance from genesis */
        readonly height: number;
        readonly epoch: number;
        readonly view: number;
        /** 64 hex digits */
        readonly parentId: string;
        /** ISO 8601 time, UTC */
        readonly timestamp: string;
        /** node, node1… */
        readonly proposer: string;
        /** 64 hex digits */
        readonly txRoot: string;
        /** 64 hex digits */
        readonly stateRoot: string;
        readonly transactionCount: number | null;
        /** only the header is kept here */
        readonly pruned: boolean;
        readonly status: "final" | "notarized" | "proposed" | "abandoned";
      })[];
      readonly nextCursor: string | null;
    };
  };
  "GET /ledger/blocks/{idOrHeight}": {
    readonly answer: {
      /** 64 hex digits */
      readonly id: string;
      /** distance from genesis */
      readonly height: number;
      readonly epoch: number;
      readonly view: number;
      /** 64 hex digits */
      readonly parentId: string;
      /** ISO 8601 time, UTC */
      readonly timestamp: string;
      /** node, node1… */
      readonly proposer: string;
      /** 64 hex digits */
      readonly txRoot: string;
      /** 64 hex digits */
      readonly stateRoot: string;
      readonly transactionCount: number | null;
      /** only the header is kept here */
      readonly pruned: boolean;
      readonly status: "final" | "notarized" | "proposed" | "abandoned";
      readonly transactions: readonly ({
        /** 64 hex digits */
        readonly id: string;
        readonly kind: string;
        /** account, acorn1… */
        readonly sender: string;
        readonly nonce: number;
        /** an amount in grains, decimal */
        readonly feeGrains: string;
        readonly status: "final" | "waiting";
        readonly height: number | null;
        readonly timestamp: string | null;
        /** the fields of that kind */
        readonly body: Readonly<Record<string, unknown>>;
      })[];
    };
  };
  "GET /ledger/tree": {
    readonly query: {
      readonly depth?: number;
    };
    readonly answer: {
      /** 64 hex digits */
      readonly finalId: string;
      readonly blocks: readonly ({
        /** 64 hex digits */
        readonly id: string;
        /** distance from genesis */
        readonly height: number;
        readonly epoch: number;
        readonly view: number;
        /** 64 hex digits */
        readonly parentId: string;
        /** ISO 8601 time, UTC */
        readonly timestamp: string;
        /** node, node1… */
        readonly proposer: string;
        /** 64 hex digits */
        readonly txRoot: string;
        /** 64 hex digits */
        readonly stateRoot: string;
        readonly transactionCount: number | null;
        /** only the header is kept here */
        readonly pruned: boolean;
        readonly status: "final" | "notarized" | "proposed" | "abandoned";
      })[];
    };
  };
  "GET /ledger/transactions/{id}": {
    readonly answer: {
      /** 64 hex digits */
      readonly id: string;
      readonly kind: string;
      /** account, acorn1… */
      readonly sender: string;
      readonly nonce: number;
      /** an amount in grains, decimal */
      readonly feeGrains: string;
      readonly status: "final" | "waiting";
      readonly height: number | null;
      readonly timestamp: string | null;
      /** the fields of that kind */
      readonly body: Readonly<Record<string, unknown>>;
    };
  };
  "POST /ledger/transactions": {
    readonly body: {
      /** signed bytes in hex */
      readonly transaction: string;
    };
    readonly answer: {
      /** 64 hex digits */
      readonly id: string;
    };
  };
  "GET /ledger/accounts/{id}": {
    readonly answer: {
      /** account, acorn1… */
      readonly accountId: string;
      /** an amount in grains, decimal */
      readonly balanceGrains: string;
      readonly nonce: number;
    };
  };
  "GET /ledger/accounts/{id}/history": {
    readonly query: {
      /** nextCursor of the page before */
      readonly cursor?: string;
      readonly limit?: number;
    };
    readonly answer: {
      readonly items: readonly ({
        readonly height: number;
        /** ISO 8601 time, UTC */
        readonly timestamp: string;
        /** claim, transfer, fee, escrow, collateral, storage, egress, penalty, refund, collateral-return */
        readonly reason: string;
        readonly direction: "in" | "out";
        /** an amount in grains, decimal */
        readonly amountGrains: string;
        readonly otherId: string | null;
        readonly transactionId: string | null;
        readonly contractId: string | null;
        readonly period: number | null;
        readonly memo: string | null;
      })[];
      readonly nextCursor: string | null;
    };
  };
  "GET /ledger/tpms/{ekId}": {
    readonly answer: {
      /** 64 hex digits */
      readonly ekId: string;
      /** account, acorn1… */
      readonly ownerId: string;
      /** node, node1… */
      readonly nodeId: string;
      /** an amount in grains, decimal */
      readonly denominationGrains: string;
      readonly claimedHeight: number;
    };
  };
  "GET /ledger/contracts": {
    readonly query: {
      /** nextCursor of the page before */
      readonly cursor?: string;
      readonly limit?: number;
      /** only those of this renter or host */
      readonly account?: string;
      /** on which the account must be */
      readonly side?: "renter" | "host";
    };
    readonly answer: {
      readonly items: readonly ({
        /** 64 hex digits */
        readonly id: string;
        readonly state: "active" | "ended" | "failed" | "closed";
        /** account, acorn1… */
        readonly renterId: string;
        /** account, acorn1… */
        readonly hostAccountId: string;
        readonly hostNodeId: string | null;
        /** under the newest root */
        readonly sizeBytes: number;
        /** an amount in grains, decimal */
        readonly priceGrainsPerGiBPeriod: string;
        /** an amount in grains, decimal */
        readonly egressGrainsPerGiB: string;
        readonly startPeriod: number;
        readonly endPeriod: number;
        /** the first that is neither paid nor missed */
        readonly nextPeriod: number;
        /** the last in which nextPeriod can be proven */
        readonly provableUntilPeriod: number;
        readonly revision: number;
        /** an amount in grains, decimal */
        readonly escrowGrains: string;
        /** an amount in grains, decimal */
        readonly collateralGrains: string;
        /** an amount in grains, decimal */
        readonly paidStorageGrains: string;
        /** an amount in grains, decimal */
        readonly paidEgressGrains: string;
        /** an amount in grains, decimal */
        readonly penaltyGrains: string;
        readonly paidPeriods: number;
        readonly missedPeriods: number;
        readonly missedInARow: number;
        readonly openedHeight: number;
        readonly lastSettledHeight: number | null;
        readonly endedHeight: number | null;
      })[];
      readonly nextCursor: string | null;
    };
  };
  "GET /ledger/contracts/{id}": {
    readonly answer: {
      /** 64 hex digits */
      readonly id: string;
      readonly state: "active" | "ended" | "failed" | "closed";
      /** account, acorn1… */
      readonly renterId: string;
      /** account, acorn1… */
      readonly hostAccountId: string;
      readonly hostNodeId: string | null;
      /** under the newest root */
      readonly sizeBytes: number;
      /** an amount in grains, decimal */
      readonly priceGrainsPerGiBPeriod: string;
      /** an amount in grains, decimal */
      readonly egressGrainsPerGiB: string;
      readonly startPeriod: number;
      readonly endPeriod: number;
      /** the first that is neither paid nor missed */
      readonly nextPeriod: number;
      /** the last in which nextPeriod can be proven */
      readonly provableUntilPeriod: number;
      readonly revision: number;
      /** an amount in grains, decimal */
      readonly escrowGrains: string;
      /** an amount in grains, decimal */
      readonly collateralGrains: string;
      /** an amount in grains, decimal */
      readonly paidStorageGrains: string;
      /** an amount in grains, decimal */
      readonly paidEgressGrains: string;
      /** an amount in grains, decimal */
      readonly penaltyGrains: string;
      readonly paidPeriods: number;
      readonly missedPeriods: number;
      readonly missedInARow: number;
      readonly openedHeight: number;
      readonly lastSettledHeight: number | null;
      readonly endedHeight: number | null;
    };
  };
  "GET /ledger/periods/{n}": {
    readonly answer: {
      readonly period: number;
      readonly height: number;
      /** ISO 8601 time, UTC */
      readonly startedAt: string;
      readonly beacon: string | null;
    };
  };
  "GET /ledger/nodes": {
    readonly query: {
      /** nextCursor of the page before */
      readonly cursor?: string;
      readonly limit?: number;
    };
    readonly answer: {
      readonly items: readonly ({
        /** node, node1… */
        readonly nodeId: string;
        /** account, acorn1… */
        readonly ownerId: string;
        /** 64 hex digits */
        readonly ekId: string;
        readonly addresses: readonly (string)[];
        readonly offer: {
          /** an amount in grains, decimal */
          readonly priceGrainsPerGiBPeriod: string;
          /** an amount in grains, decimal */
          readonly egressGrainsPerGiB: string;
          readonly collateralPercent: number;
          /** room at the time of the announcement */
          readonly freeBytes: number;
          readonly periodsMin: number;
          readonly periodsMax: number;
        } | null;
        readonly committeeMember: boolean;
        readonly connected: boolean | null;
        readonly self: boolean;
        readonly score: number | null;
        readonly scoreFactors: Readonly<Record<string, number>> | null;
        readonly suspended: string | null;
      })[];
      readonly nextCursor: string | null;
    };
  };
  "GET /ledger/offers": {
    readonly query: {
      /** nextCursor of the page before */
      readonly cursor?: string;
      readonly limit?: number;
    };
    readonly answer: {
      readonly items: readonly ({
        /** node, node1… */
        readonly nodeId: string;
        /** account, acorn1… */
        readonly ownerId: string;
        /** 64 hex digits */
        readonly ekId: string;
        readonly addresses: readonly (string)[];
        readonly offer: {
          /** an amount in grains, decimal */
          readonly priceGrainsPerGiBPeriod: string;
          /** an amount in grains, decimal */
          readonly egressGrainsPerGiB: string;
          readonly collateralPercent: number;
          /** room at the time of the announcement */
          readonly freeBytes: number;
          readonly periodsMin: number;
          readonly periodsMax: number;
        } | null;
        readonly committeeMember: boolean;
        readonly connected: boolean | null;
        readonly self: boolean;
        readonly score: number | null;
        readonly scoreFactors: Readonly<Record<string, number>> | null;
        readonly suspended: string | null;
      })[];
      readonly nextCursor: string | null;
    };
  };
  "GET /tpm": {
    readonly answer: {
      readonly kind: "tpm2" | "software" | "none";
      readonly ekId: string | null;
      readonly manufacturer: string | null;
      readonly firmware: string | null;
      readonly certifiedBy: string | null;
      readonly endorsement: {
        /** account, acorn1… */
        readonly issuerId: string;
        /** an amount in grains, decimal */
        readonly denominationGrains: string;
      } | null;
      readonly claimed: {
        /** of the block with the claim */
        readonly height: number;
        /** account, acorn1… */
        readonly accountId: string;
        /** an amount in grains, decimal */
        readonly denominationGrains: string;
        /** by the account of this node */
        readonly own: boolean;
        /** bound to the key of this node */
        readonly here: boolean;
      } | null;
      readonly issuer: string | null;
      readonly problem: {
        readonly code: string;
        /** why the chip does not answer now, and what to do */
        readonly detail: string;
      } | null;
    };
  };
  "GET /tpm/request": {
    readonly answer: {
      readonly format: "blocktree tpm request 1";
      /** the chain to be endorsed for, hex */
      readonly chainId: string;
      readonly kind: "tpm2" | "software";
      /** TPMT_PUBLIC, hex */
      readonly endorsementKey: string;
      /** TPMT_PUBLIC, hex */
      readonly attestationKey: string;
      readonly certificates: readonly (string)[];
    };
  };
  "POST /tpm/endorsement": {
    readonly body: {
      /** address of an issuer’s node, which is asked at once */
      readonly issuer?: string;
      readonly answer?: {
        readonly format: "blocktree tpm endorsement 1";
        /** as in the request, hex */
        readonly chainId: string;
        /** the chip, hex */
        readonly ekId: string;
        /** TPMS_ID_OBJECT, hex */
        readonly credential: string;
        /** the seed of the credential, encrypted to the chip, hex */
        readonly encryptedSecret: string;
        /** the endorsement, encrypted under the secret in the credential, hex */
        readonly sealedEndorsement: string;
      };
    };
    readonly answer: {
      readonly kind: "tpm2" | "software" | "none";
      readonly ekId: string | null;
      readonly manufacturer: string | null;
      readonly firmware: string | null;
      readonly certifiedBy: string | null;
      readonly endorsement: {
        /** account, acorn1… */
        readonly issuerId: string;
        /** an amount in grains, decimal */
        readonly denominationGrains: string;
      } | null;
      readonly claimed: {
        /** of the block with the claim */
        readonly height: number;
        /** account, acorn1… */
        readonly accountId: string;
        /** an amount in grains, decimal */
        readonly denominationGrains: string;
        /** by the account of this node */
        readonly own: boolean;
        /** bound to the key of this node */
        readonly here: boolean;
      } | null;
      readonly issuer: string | null;
      readonly problem: {
        readonly code: string;
        /** why the chip does not answer now, and what to do */
        readonly detail: string;
      } | null;
    };
  };
  "POST /tpm/claim": {
    readonly answer: {
      /** 64 hex digits */
      readonly transactionId: string;
      /** of the final block */
      readonly height: number;
    };
  };
  "GET /ledger/accounts/{id}/proof": {
    readonly query: {
      /** whose committee the caller trusts */
      readonly epoch?: number;
    };
    readonly answer: {
      /** from the trusted epoch on, oldest first */
      readonly boundaries: readonly (string)[];
      /** 226 bytes */
      readonly header: string;
      /** the Finalization of the header */
      readonly certificate: string;
      readonly row: string | null;
      readonly path: {
        /** root level first */
        readonly siblings: readonly (string)[];
        readonly other: {
          /** 64 hex digits */
          readonly keyHash: string;
          /** 64 hex digits */
          readonly valueHash: string;
        } | null;
      };
    };
  };
  "GET /ledger/contracts/{id}/proof": {
    readonly query: {
      /** whose committee the caller trusts */
      readonly epoch?: number;
    };
    readonly answer: {
      /** from the trusted epoch on, oldest first */
      readonly boundaries: readonly (string)[];
      /** 226 bytes */
      readonly header: string;
      /** the Finalization of the header */
      readonly certificate: string;
      readonly row: string | null;
      readonly path: {
        /** root level first */
        readonly siblings: readonly (string)[];
        readonly other: {
          /** 64 hex digits */
          readonly keyHash: string;
          /** 64 hex digits */
          readonly valueHash: string;
        } | null;
      };
    };
  };
  "GET /ledger/tpms/{id}/proof": {
    readonly query: {
      /** whose committee the caller trusts */
      readonly epoch?: number;
    };
    readonly answer: {
      /** from the trusted epoch on, oldest first */
      readonly boundaries: readonly (string)[];
      /** 226 bytes */
      readonly header: string;
      /** the Finalization of the header */
      readonly certificate: string;
      readonly row: string | null;
      readonly path: {
        /** root level first */
        readonly siblings: readonly (string)[];
        readonly other: {
          /** 64 hex digits */
          readonly keyHash: string;
          /** 64 hex digits */
          readonly valueHash: string;
        } | null;
      };
    };
  };
  "GET /ledger/genesis": {
    readonly answer: {
      readonly name: string;
      /** ISO 8601 time, UTC */
      readonly timestamp: string;
      readonly kind: "public" | "dev";
      readonly issuers: readonly (string)[];
      readonly committee: readonly ({
        /** 64 hex digits */
        readonly seatId: string;
        /** public key in hex */
        readonly nodeId: string;
        /** public key in hex */
        readonly accountId: string;
      })[];
      readonly parameters: Readonly<Record<string, number | string>>;
    };
  };
  "GET /ledger/boundaries": {
    readonly query: {
      /** whose committee the caller trusts */
      readonly epoch?: number;
    };
    readonly answer: {
      readonly items: readonly (string)[];
    };
  };
  "GET /ledger/committee": {
    readonly answer: {
      readonly epoch: number;
      readonly quorum: number;
      readonly seats: readonly ({
        /** 64 hex digits */
        readonly ekId: string;
        /** node, node1… */
        readonly nodeId: string;
      })[];
    };
  };
  "GET /seat": {
    readonly answer: {
      readonly inPool: boolean;
      /** of the committee that votes now */
      readonly member: boolean;
      /** false for a member that may not vote or still asks what it signed before */
      readonly voting: boolean;
      /** an amount in grains, decimal */
      readonly bondGrains: string;
      readonly renewedAt: string | null;
      readonly leftAt: string | null;
      /** of contradicting votes: it takes part no more */
      readonly convicted: boolean;
    };
  };
  "POST /seat": {
    readonly body: {
      readonly action: "enter" | "leave";
    };
    readonly answer: {
      /** 64 hex digits */
      readonly transactionId: string;
      /** of the final block */
      readonly height: number;
    };
  };
  "POST /issuer/requests": {
    readonly body: {
      readonly format: "blocktree tpm request 1";
      /** the chain to be endorsed for, hex */
      readonly chainId: string;
      readonly kind: "tpm2" | "software";
      /** TPMT_PUBLIC, hex */
      readonly endorsementKey: string;
      /** TPMT_PUBLIC, hex */
      readonly attestationKey: string;
      readonly certificates: readonly (string)[];
    };
    readonly answer: {
      readonly format: "blocktree tpm endorsement 1";
      /** as in the request, hex */
      readonly chainId: string;
      /** the chip, hex */
      readonly ekId: string;
      /** TPMS_ID_OBJECT, hex */
      readonly credential: string;
      /** the seed of the credential, encrypted to the chip, hex */
      readonly encryptedSecret: string;
      /** the endorsement, encrypted under the secret in the credential, hex */
      readonly sealedEndorsement: string;
    };
  };
  "GET /wallet": {
    readonly answer: {
      /** account, acorn1… */
      readonly accountId: string;
      /** an amount in grains, decimal */
      readonly balanceGrains: string;
      readonly nonce: number;
      /** sent and not final */
      readonly waiting: number;
    };
  };
  "POST /wallet/transfers": {
    readonly body: {
      /** account, acorn1… */
      readonly to: string;
      readonly amountGrains: string;
      readonly memo?: string;
    };
    readonly answer: {
      /** 64 hex digits */
      readonly transactionId: string;
      /** of the final block */
      readonly height: number;
    };
  };
  "GET /host/offer": {
    readonly answer: {
      readonly offer: {
        /** an amount in grains, decimal */
        readonly priceGrainsPerGiBPeriod: string;
        /** an amount in grains, decimal */
        readonly egressGrainsPerGiB: string;
        readonly collateralPercent: number;
        /** room at the time of the announcement */
        readonly freeBytes: number;
        readonly periodsMin: number;
        readonly periodsMax: number;
      } | null;
    };
  };
  "PUT /host/offer": {
    readonly body: {
      readonly offer: {
        /** an amount in grains, decimal */
        readonly priceGrainsPerGiBPeriod: string;
        /** an amount in grains, decimal */
        readonly egressGrainsPerGiB: string;
        readonly collateralPercent: number;
        readonly periodsMin: number;
        readonly periodsMax: number;
      } | null;
    };
    readonly answer: {
      readonly offer: {
        /** an amount in grains, decimal */
        readonly priceGrainsPerGiBPeriod: string;
        /** an amount in grains, decimal */
        readonly egressGrainsPerGiB: string;
        readonly collateralPercent: number;
        /** room at the time of the announcement */
        readonly freeBytes: number;
        readonly periodsMin: number;
        readonly periodsMax: number;
      } | null;
    };
  };
  "GET /host/volumes": {
    readonly answer: {
      readonly items: readonly ({
        readonly id: string;
        readonly folder: string;
        readonly limitBytes: number;
        readonly usedBytes: number;
        readonly fragments: number;
        readonly draining: boolean;
      })[];
      readonly nextCursor: string | null;
    };
  };
  "POST /host/volumes": {
    readonly body: {
      readonly folder: string;
      readonly limitBytes: number;
    };
    readonly answer: {
      readonly id: string;
      readonly folder: string;
      readonly limitBytes: number;
      readonly usedBytes: number;
      readonly fragments: number;
      readonly draining: boolean;
    };
  };
  "PATCH /host/volumes/{id}": {
    readonly body: {
      readonly limitBytes?: number;
      readonly draining?: true;
    };
    readonly answer: {
      readonly id: string;
      readonly folder: string;
      readonly limitBytes: number;
      readonly usedBytes: number;
      readonly fragments: number;
      readonly draining: boolean;
    };
  };
  "DELETE /host/volumes/{id}": {
    readonly answer: undefined;
  };
  "GET /host/contracts": {
    readonly query: {
      /** nextCursor of the page before */
      readonly cursor?: string;
      readonly limit?: number;
    };
    readonly answer: {
      readonly items: readonly ({
        /** 64 hex digits */
        readonly id: string;
        readonly state: "active" | "ended" | "failed" | "closed";
        /** account, acorn1… */
        readonly renterId: string;
        /** account, acorn1… */
        readonly hostAccountId: string;
        readonly hostNodeId: string | null;
        /** under the newest root */
        readonly sizeBytes: number;
        /** an amount in grains, decimal */
        readonly priceGrainsPerGiBPeriod: string;
        /** an amount in grains, decimal */
        readonly egressGrainsPerGiB: string;
        readonly startPeriod: number;
        readonly endPeriod: number;
        /** the first that is neither paid nor missed */
        readonly nextPeriod: number;
        /** the last in which nextPeriod can be proven */
        readonly provableUntilPeriod: number;
        readonly revision: number;
        /** an amount in grains, decimal */
        readonly escrowGrains: string;
        /** an amount in grains, decimal */
        readonly collateralGrains: string;
        /** an amount in grains, decimal */
        readonly paidStorageGrains: string;
        /** an amount in grains, decimal */
        readonly paidEgressGrains: string;
        /** an amount in grains, decimal */
        readonly penaltyGrains: string;
        readonly paidPeriods: number;
        readonly missedPeriods: number;
        readonly missedInARow: number;
        readonly openedHeight: number;
        readonly lastSettledHeight: number | null;
        readonly endedHeight: number | null;
      })[];
      readonly nextCursor: string | null;
    };
  };
  "GET /host/earnings": {
    readonly answer: {
      /** an amount in grains, decimal */
      readonly totalGrains: string;
      /** an amount in grains, decimal */
      readonly storageGrains: string;
      /** an amount in grains, decimal */
      readonly egressGrains: string;
      /** an amount in grains, decimal */
      readonly relayGrains: string;
      /** an amount in grains, decimal */
      readonly feeGrains: string;
      /** an amount in grains, decimal */
      readonly penaltyGrains: string;
      /** an amount in grains, decimal */
      readonly projectedMonthGrains: string;
      readonly byPeriod: readonly ({
        readonly period: number;
        readonly startedAt: string | null;
        /** an amount in grains, decimal */
        readonly totalGrains: string;
        /** an amount in grains, decimal */
        readonly storageGrains: string;
        /** an amount in grains, decimal */
        readonly egressGrains: string;
        /** an amount in grains, decimal */
        readonly relayGrains: string;
        /** an amount in grains, decimal */
        readonly feeGrains: string;
        /** an amount in grains, decimal */
        readonly penaltyGrains: string;
      })[];
      readonly byContract: readonly ({
        /** 64 hex digits */
        readonly contractId: string;
        /** an amount in grains, decimal */
        readonly totalGrains: string;
        /** an amount in grains, decimal */
        readonly storageGrains: string;
        /** an amount in grains, decimal */
        readonly egressGrains: string;
        /** an amount in grains, decimal */
        readonly relayGrains: string;
        /** an amount in grains, decimal */
        readonly feeGrains: string;
        /** an amount in grains, decimal */
        readonly penaltyGrains: string;
      })[];
    };
  };
  "GET /host/audits": {
    readonly answer: {
      readonly items: readonly ({
        /** 64 hex digits */
        readonly contractId: string;
        /** node, node1… */
        readonly hostNodeId: string;
        readonly period: number;
        /** ISO 8601 time, UTC */
        readonly at: string;
        readonly ok: boolean;
        readonly latencyMs: number;
        readonly reason: string | null;
      })[];
      readonly nextCursor: string | null;
    };
  };
  "GET /jobs": {
    readonly answer: {
      readonly items: readonly ({
        readonly id: string;
        readonly kind: string;
        readonly state: "waiting" | "running" | "done" | "failed";
        readonly attempts: number;
        readonly finishedAt: string | null;
        readonly result: string | null;
      })[];
      readonly nextCursor: string | null;
    };
  };
  "GET /jobs/{*}": {
    readonly answer: {
      readonly id: string;
      readonly kind: string;
      readonly state: "waiting" | "running" | "done" | "failed";
      readonly attempts: number;
      readonly finishedAt: string | null;
      readonly result: string | null;
    };
  };
  "GET /peers": {
    readonly answer: {
      readonly items: readonly ({
        /** node, node1… */
        readonly nodeId: string;
        readonly address: string;
        readonly direction: "inbound" | "outbound";
        /** ISO 8601 time, UTC */
        readonly connectedAt: string;
        readonly bytesIn: number;
        readonly bytesOut: number;
        readonly roundTripMs: number | null;
      })[];
      readonly nextCursor: string | null;
    };
  };
  "GET /alerts": {
    readonly answer: {
      readonly items: readonly ({
        readonly id: string;
        readonly severity: "info" | "warning" | "critical";
        readonly title: string;
        readonly whatToDo: string;
      })[];
      readonly nextCursor: string | null;
    };
  };
  "GET /settings": {
    readonly answer: {
      readonly items: readonly ({
        readonly name: string;
        /** as a flag would be given */
        readonly value: string;
        readonly isDefault: boolean;
        readonly help: string;
      })[];
      readonly nextCursor: string | null;
    };
  };
  "GET /host/offer/outlook": {
    readonly query: {
      readonly priceGrainsPerGiBPeriod: string;
      readonly collateralPercent: number;
    };
    readonly answer: {
      /** an amount in grains, decimal */
      readonly monthWhenFullGrains: string;
      /** of other nodes */
      readonly otherOffers: number;
      /** of those, that ask less */
      readonly cheaperOffers: number;
      /** of those, that ask the same */
      readonly sameOffers: number;
      readonly scoreAgainstNow: number | null;
    };
  };
  "POST /sessions": {
    readonly body: {
      readonly code: string;
    };
    readonly answer: {
      readonly role: "viewer" | "operator" | "owner";
    };
  };
  "GET /sessions/current": {
    readonly answer: {
      readonly role: "viewer" | "operator" | "owner";
    };
  };
  "DELETE /sessions/current": {
    readonly answer: undefined;
  };
  "POST /sessions/links": {
    readonly answer: {
      readonly code: string;
    };
  };
  "GET /tokens": {
    readonly answer: {
      readonly items: readonly ({
        readonly id: string;
        readonly name: string;
        readonly role: "viewer" | "operator" | "owner";
        /** the one in the data folder, for the command line; revoked, another is made */
        readonly local: boolean;
        /** ISO 8601 time, UTC */
        readonly createdAt: string;
      })[];
      readonly nextCursor: string | null;
    };
  };
  "POST /tokens": {
    readonly body: {
      readonly name: string;
      readonly role: "viewer" | "operator" | "owner";
    };
    readonly answer: {
      readonly id: string;
      readonly name: string;
      readonly role: "viewer" | "operator" | "owner";
      /** the one in the data folder, for the command line; revoked, another is made */
      readonly local: boolean;
      /** ISO 8601 time, UTC */
      readonly createdAt: string;
      /** shown once */
      readonly token: string;
    };
  };
  "DELETE /tokens/{id}": {
    readonly answer: undefined;
  };
  "GET /files": {
    readonly query: {
      /** nextCursor of the page before */
      readonly cursor?: string;
      readonly limit?: number;
      /** only the file of this name */
      readonly name?: string;
    };
    readonly answer: {
      readonly items: readonly ({
        readonly name: string;
        readonly sizeBytes: number;
        /** ISO 8601 time, UTC */
        readonly createdAt: string;
        /** 64 hex digits */
        readonly sha256: string;
        readonly redundancy: {
          readonly data: number;
          readonly parity: number;
          readonly weak: boolean;
        };
        /** at hosts, parity included */
        readonly storedBytes: number;
        /** its part of all that is stored at hosts, who are paid by size; 0 to 1 */
        readonly shareOfCost: number;
        readonly health: {
          readonly state: "healthy" | "degraded" | "lost";
          readonly fragmentsAlive: number;
          readonly fragmentsNeeded: number;
          readonly fragmentsTotal: number;
        };
      })[];
      readonly nextCursor: string | null;
    };
  };
  "POST /recovery": {
    readonly answer: {
      /** files that are here now */
      readonly files: number;
      /** of these, files that were not here before */
      readonly added: number;
      /** hosts of live contracts of this account */
      readonly hosts: number;
      /** of these, the ones that have not answered; they are asked again, and nothing is taken out of contracts until then */
      readonly silent: readonly (string)[];
    };
  };
  "GET /files/{*}": {
    readonly answer: undefined;
  };
  "PUT /files/{*}": {
    readonly query: {
      /** K+M */
      readonly redundancy?: string;
      readonly overwrite?: boolean;
    };
    readonly answer: {
      readonly name: string;
      readonly sizeBytes: number;
      /** ISO 8601 time, UTC */
      readonly createdAt: string;
      /** 64 hex digits */
      readonly sha256: string;
      readonly redundancy: {
        readonly data: number;
        readonly parity: number;
        readonly weak: boolean;
      };
      /** at hosts, parity included */
      readonly storedBytes: number;
      /** its part of all that is stored at hosts, who are paid by size; 0 to 1 */
      readonly shareOfCost: number;
      readonly health: {
        readonly state: "healthy" | "degraded" | "lost";
        readonly fragmentsAlive: number;
        readonly fragmentsNeeded: number;
        readonly fragmentsTotal: number;
      };
    };
  };
  "DELETE /files/{*}": {
    readonly answer: undefined;
  };
}
