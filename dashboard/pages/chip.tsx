import type { ComponentChildren } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { call, Problem, type TpmStatus, useApi } from '../api.ts';
import { Act, Amount, Badge, Card, Failure, Figure, Id, Show } from '../ui.tsx';
import { advised } from './chip-advice.ts';

/** The chip of this node: what it is and brought, or the steps until it is claimed. */
export function ChipCard() {
  // A claim pays: one that became final elsewhere shows here too.
  const tpm = useApi<TpmStatus>('/tpm', ['payment']);
  return (
    <Card title="TPM" wide>
      <Show from={tpm}>
        {(data) =>
          data.claimed?.here === true ? (
            <Claimed tpm={data} claim={data.claimed} reload={tpm.reload} />
          ) : (
            <Wizard tpm={data} reload={tpm.reload} />
          )
        }
      </Show>
    </Card>
  );
}

type Claim = NonNullable<TpmStatus['claimed']>;

/** Vendor ids of the TCG's registry that people meet. */
const MAKERS: Readonly<Record<string, string>> = {
  AMD: 'AMD',
  ATML: 'Microchip',
  GOOG: 'Google',
  IBM: 'IBM',
  IFX: 'Infineon',
  INTC: 'Intel',
  MSFT: 'Microsoft',
  NTC: 'Nuvoton',
  QCOM: 'Qualcomm',
  STM: 'STMicroelectronics',
};

function maker({ kind, manufacturer }: TpmStatus): string {
  if (kind === 'software') return 'none: a key file, for development';
  return manufacturer === null ? 'unknown' : (MAKERS[manufacturer] ?? manufacturer);
}

function Claimed({ tpm, claim, reload }: { tpm: TpmStatus; claim: Claim; reload: () => void }) {
  return (
    <>
      {tpm.problem !== null && <Silent problem={tpm.problem} reload={reload} />}
      <dl class="figures">
        <Figure label="Claim" note={<a href={`/ledger/block/${claim.height}`}>in block {claim.height}</a>}>
          <Badge tone="good">claimed</Badge>
        </Figure>
        <Figure label="Denomination" note="what the chip brought">
          <Amount grains={claim.denominationGrains} />
        </Figure>
        <Figure label="Manufacturer" note={tpm.firmware !== null && `firmware ${tpm.firmware}`}>
          {maker(tpm)}
        </Figure>
        <Figure
          label="Chip"
          note={
            tpm.problem === null &&
            (tpm.certifiedBy === null ? 'no certificate of a maker' : `certified by ${tpm.certifiedBy}`)
          }
        >
          <Id id={tpm.ekId as string} />
        </Figure>
      </dl>
    </>
  );
}

/** A chip that does not answer, with why and what to do. */
function Silent({ problem, reload }: { problem: NonNullable<TpmStatus['problem']>; reload: () => void }) {
  return (
    <div class="silent">
      <Failure problem={new Problem(503, problem.code, problem.detail)} title="The chip does not answer" />
      <button type="button" onClick={reload}>
        Look again
      </button>
    </div>
  );
}

type StepState = 'done' | 'now' | 'later' | 'failed';
const STATE_WORDS: Readonly<Record<StepState, string>> = {
  done: 'done',
  now: 'next',
  later: 'later',
  failed: 'needs attention',
};

function Step({ title, state, children }: { title: string; state: StepState; children?: ComponentChildren }) {
  return (
    <li class={state} aria-current={state === 'now' || state === 'failed' ? 'step' : undefined}>
      <h3>
        {title} <span class="hidden">({STATE_WORDS[state]})</span>
      </h3>
      {children}
    </li>
  );
}

/** Which step a chip is at; those before are done. */
function stepOf({ kind, problem, endorsement, claimed }: TpmStatus): 'chip' | 'request' | 'claim' {
  if (kind === 'none' || problem !== null) return 'chip';
  return endorsement === null && claimed === null ? 'request' : 'claim';
}

function Wizard({ tpm, reload }: { tpm: TpmStatus; reload: () => void }) {
  const step = stepOf(tpm);
  const { endorsement, claimed } = tpm;
  const isTaken = claimed !== null && !claimed.own;
  return (
    <>
      <p class="wizard-lead">
        A claimed chip lets this node take part. An issuer decides what it brings; it is claimed once, for
        ever.
      </p>
      <ol class="wizard">
        <Step title="Chip" state={step === 'chip' ? 'failed' : 'done'}>
          <Detected tpm={tpm} reload={reload} />
        </Step>
        <Step title="Request" state={step === 'request' ? 'now' : step === 'chip' ? 'later' : 'done'}>
          {step === 'request' ? (
            <Request issuer={tpm.issuer} reload={reload} />
          ) : (
            step === 'chip' && <p class="note">An issuer is asked to vouch for the chip.</p>
          )}
        </Step>
        <Step title="Endorsed" state={step === 'claim' ? 'done' : 'later'}>
          {endorsement === null ? (
            <p class="note">
              {step === 'claim'
                ? 'The ledger keeps the endorsement of its claim.'
                : 'The issuer’s answer opens in this chip and in no other.'}
            </p>
          ) : (
            <p>
              With <Amount grains={endorsement.denominationGrains} /> by{' '}
              <Id id={endorsement.issuerId} kind="account" />
            </p>
          )}
        </Step>
        <Step title="Claimed" state={isTaken ? 'failed' : step === 'claim' ? 'now' : 'later'}>
          {step === 'claim' && <Claiming claimed={claimed} endorsement={endorsement} reload={reload} />}
        </Step>
      </ol>
    </>
  );
}

function Detected({ tpm, reload }: { tpm: TpmStatus; reload: () => void }) {
  if (tpm.kind === 'none')
    return (
      <>
        <p>This node goes without a TPM: it reads the ledger and cannot claim.</p>
        <p class="note">
          To take part, restore the account on a machine with a TPM 2.0: <code>blocktree init --restore</code>{' '}
          in a new data folder, with the 24 words.
        </p>
      </>
    );
  if (tpm.problem !== null) return <Silent problem={tpm.problem} reload={reload} />;
  return (
    <p>
      {tpm.kind === 'software' ? 'A software TPM' : `A TPM 2.0 by ${maker(tpm)}`}
      <span class="note">
        {' '}
        {tpm.firmware !== null && `firmware ${tpm.firmware}, `}
        {tpm.certifiedBy === null ? 'without a maker’s certificate' : `certified by ${tpm.certifiedBy}`}
      </span>
    </p>
  );
}

function Request({ issuer, reload }: { issuer: string | null; reload: () => void }) {
  const [address, setAddress] = useState(issuer ?? '');
  const [problem, setProblem] = useState<Problem>();
  const input = useRef<HTMLInputElement>(null);
  const endorse = (body: object) => advised(call('POST', '/tpm/endorsement', body)).then(reload);
  const take = async (file: File | undefined): Promise<void> => {
    if (file === undefined) return;
    setProblem(undefined);
    try {
      await endorse({ answer: await answerIn(file) });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setProblem(error);
    }
  };
  return (
    <>
      <form class="form" onSubmit={(event) => event.preventDefault()}>
        <label>
          Address of an issuer of this network
          <input
            type="url"
            value={address}
            placeholder="https://issuer.example"
            autocomplete="off"
            spellcheck={false}
            onInput={(event) => setAddress(event.currentTarget.value)}
          />
        </label>
        <Act
          label="Ask for an endorsement"
          disabled={address.trim() === ''}
          run={() => endorse({ issuer: address.trim() })}
        />
      </form>
      <p class="note">
        Or by file, where the issuer is not online:{' '}
        <button type="button" class="link" onClick={() => void saveRequest().catch(setProblem)}>
          save the request
        </button>
        , send it, and{' '}
        <button type="button" class="link" onClick={() => input.current?.click()}>
          take the answer
        </button>
        .
      </p>
      <input
        ref={input}
        id="answer"
        hidden
        type="file"
        accept="application/json,.json"
        aria-label="Answer of the issuer"
        onChange={(event) => {
          void take(event.currentTarget.files?.[0]);
          event.currentTarget.value = '';
        }}
      />
      {problem !== undefined && <Failure problem={problem} />}
    </>
  );
}

const ANSWER_BYTES_MAX = 65_536;

/** Throws Problem `bad-file`. */
async function answerIn(file: File): Promise<unknown> {
  const bad = (what: string) => new Problem(0, 'bad-file', `“${file.name}” ${what}`);
  if (file.size > ANSWER_BYTES_MAX) throw bad('is too large to be the answer of an issuer.');
  try {
    return JSON.parse(await file.text());
  } catch {
    throw bad('is not the answer of an issuer.');
  }
}

async function saveRequest(): Promise<void> {
  const request = await call<object>('GET', '/tpm/request');
  const url = URL.createObjectURL(
    new Blob([`${JSON.stringify(request, undefined, 2)}\n`], { type: 'application/json' }),
  );
  const link = document.createElement('a');
  link.href = url;
  link.download = 'tpm-request.json';
  link.click();
  URL.revokeObjectURL(url);
}

function Claiming({
  claimed,
  endorsement,
  reload,
}: {
  claimed: Claim | null;
  endorsement: TpmStatus['endorsement'];
  reload: () => void;
}) {
  const claim = () => advised(call('POST', '/tpm/claim')).then(reload);
  if (claimed === null)
    return (
      <>
        <p class="note">
          Binds the chip to this account and brings it{' '}
          <Amount grains={endorsement?.denominationGrains ?? '0'} />. It takes a few seconds to be final.
        </p>
        <Act label="Claim the chip" run={claim} />
      </>
    );
  if (claimed.own)
    return (
      <>
        <p class="note">
          This account claimed the chip in{' '}
          <a href={`/ledger/block/${claimed.height}`}>block {claimed.height}</a>, with another key of a node,
          as after a restore. Binding it here ends the other.
        </p>
        <Act label="Bind it to this node" run={claim} />
      </>
    );
  return (
    <p>
      <Badge tone="bad">claimed by another account</Badge>{' '}
      <span class="note">
        <Id id={claimed.accountId} kind="account" /> claimed this chip in{' '}
        <a href={`/ledger/block/${claimed.height}`}>block {claimed.height}</a>. If that account is yours,
        restore it here from its 24 words; if not, this chip brings nothing any more.
      </span>
    </p>
  );
}
