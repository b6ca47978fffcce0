import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Committee } from '../../ledger/consensus/committee.ts';
import { chainIdOf, genesisFromJson } from '../../ledger/genesis.ts';
import { accountAddress, parseAccountAddress } from '../../ledger/ids.ts';
import { lightProofFromJson, verifyLightProof } from '../../ledger/light-proof.ts';
import { ACCOUNTS, TPMS } from '../../ledger/state/entities.ts';
import { ConsoleFixture } from '../../test/support/console-fixture.ts';
import { person } from '../../test/support/ledger-world.ts';
import { until } from '../../test/support/until.ts';

let fixture: ConsoleFixture;
before(async () => {
  fixture = await ConsoleFixture.start();
});
after(() => fixture?.stop());

const get = async (path: string) => (await fixture.as('owner', 'GET', path)).json();
const post = (action: string) => fixture.as('owner', 'POST', '/seat', { action });

test('a node takes a seat by itself; who leaves it stays out until it enters again', async () => {
  await until(async () => (await get('/seat')).inPool === true, 20_000, 'a seat');
  const seat = await get('/seat');
  assert.deepEqual(
    [seat.member, seat.voting, seat.bondGrains, seat.leftAt],
    [true, true, '10000000000', null],
  );
  assert.equal((await post('leave')).statusCode, 200);
  assert.equal((await get('/seat')).inPool, false);
  assert.notEqual((await get('/seat')).leftAt, null);
  assert.notEqual(fixture.node.store.get('seat-left'), undefined);
  const early = await post('leave');
  assert.deepEqual([early.statusCode, early.json().code], [422, 'seat-bound']);
  assert.equal((await post('enter')).statusCode, 200);
  assert.equal((await get('/seat')).inPool, true);
  assert.equal(fixture.node.store.get('seat-left'), undefined);
  assert.equal((await post('sleep')).statusCode, 400);
});

test('what a stranger asks is proven from the network file alone', async () => {
  const asked = async (path: string) => (await fixture.as('nobody', 'GET', path)).json();
  const genesis = genesisFromJson(await asked('/ledger/genesis'));
  const chainId = chainIdOf(genesis);
  assert.equal(chainId, (await get('/status')).chainId);
  const trusted = new Committee(chainId, 0, genesis.committee);
  const { accountId } = await get('/wallet');
  const id = parseAccountAddress(accountId);
  const account = verifyLightProof(
    chainId,
    trusted,
    ACCOUNTS,
    id,
    lightProofFromJson(await asked(`/ledger/accounts/${accountId}/proof`)),
  );
  assert.equal(account.row?.balanceGrains.toString(), (await get('/wallet')).balanceGrains);
  const { ekId } = await get('/tpm');
  const tpm = lightProofFromJson(await asked(`/ledger/tpms/${ekId}/proof`));
  assert.equal(verifyLightProof(chainId, trusted, TPMS, ekId, tpm).row?.ownerId, id);
  const nobody = person('nobody').accountId;
  const absent = lightProofFromJson(await asked(`/ledger/accounts/${accountAddress(nobody)}/proof`));
  assert.equal(verifyLightProof(chainId, trusted, ACCOUNTS, nobody, absent).row, undefined);
  assert.throws(() => verifyLightProof(chainId, trusted, ACCOUNTS, id, absent), /state root|other row/);
  assert.equal((await fixture.as('nobody', 'GET', '/ledger/accounts/acorn1xyz/proof')).statusCode, 422);
  assert.equal((await fixture.as('nobody', 'GET', `/ledger/tpms/${ekId}/proof?epoch=-1`)).statusCode, 400);
});
