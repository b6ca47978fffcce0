import { Type as T } from 'typebox';
import { toHex } from '../../../ledger/bytes.ts';
import { genesisToJson } from '../../../ledger/genesis.ts';
import { type ContractId, type EkId, parseAccountAddress, parseHashId } from '../../../ledger/ids.ts';
import { lightProofToJson } from '../../../ledger/light-proof.ts';
import { ACCOUNTS, CONTRACTS, type Table, TPMS } from '../../../ledger/state/entities.ts';
import { boundariesFrom, proveRow } from '../../ledger/chain/light-proofs.ts';
import type { BlocktreeNode } from '../../node.ts';
import type { Console } from '../console.ts';
import { Boundaries, Genesis, LightProof } from '../schema/proofs.ts';

/** What lets somebody check this node's word with `ledger/light-proof.ts`, trusting nothing but one committee. */
export function proofRoutes(app: Console, node: BlocktreeNode): void {
  const { chain } = node;
  const anybody = { config: { role: 'anybody' as const } };
  const params = T.Object({ id: T.String({ maxLength: 120 }) });
  const querystring = T.Object({
    epoch: T.Optional(
      T.Integer({ minimum: 0, default: 0, description: 'whose committee the caller trusts' }),
    ),
  });
  const schema = (what: string) => ({
    tags: ['ledger'],
    description: `Proves ${what} in the newest final state, or that there is none.`,
    params,
    querystring,
    response: { 200: LightProof },
  });
  const prove = async <Id extends string, Row>(table: Table<Id, Row>, id: Id, epoch: number) =>
    lightProofToJson(await proveRow(chain, table, id, epoch));

  app.get('/ledger/accounts/:id/proof', { ...anybody, schema: schema('an account') }, (request) =>
    prove(ACCOUNTS, parseAccountAddress(request.params.id), request.query.epoch ?? 0),
  );
  app.get('/ledger/contracts/:id/proof', { ...anybody, schema: schema('a contract') }, (request) =>
    prove(CONTRACTS, parseHashId<ContractId>(request.params.id), request.query.epoch ?? 0),
  );
  app.get('/ledger/tpms/:id/proof', { ...anybody, schema: schema('a claimed TPM') }, (request) =>
    prove(TPMS, parseHashId<EkId>(request.params.id), request.query.epoch ?? 0),
  );

  app.get(
    '/ledger/genesis',
    {
      ...anybody,
      schema: {
        tags: ['ledger'],
        description: 'The network file: the id of the chain is the hash of it.',
        response: { 200: Genesis },
      },
    },
    async () => genesisToJson(node.genesis),
  );

  app.get(
    '/ledger/boundaries',
    {
      ...anybody,
      schema: {
        tags: ['ledger'],
        description: 'The last blocks of epochs with what proves them, from the given epoch on.',
        querystring,
        response: { 200: Boundaries },
      },
    },
    async (request) => ({
      items: boundariesFrom(chain, request.query.epoch ?? 0).map(toHex),
    }),
  );
}
