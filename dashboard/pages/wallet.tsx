import { useMemo, useRef, useState } from 'preact/hooks';
import qrcode from 'qrcode-generator';
import { call, type Seat, useApi } from '../api.ts';
import { acorns, parseAcorns } from '../format.ts';
import { Proven } from '../proven.tsx';
import { Act, Amount, Card, Id, Show } from '../ui.tsx';
import { ChipCard } from './chip.tsx';
import { History } from './history.tsx';

function QrCode({ text }: { text: string }) {
  const path = useMemo(() => {
    const code = qrcode(0, 'M');
    code.addData(text.toUpperCase(), 'Alphanumeric');
    code.make();
    const size = code.getModuleCount();
    let d = '';
    for (let y = 0; y < size; y++)
      for (let x = 0; x < size; x++) if (code.isDark(y, x)) d += `M${x} ${y}h1v1h-1z`;
    return { d, size };
  }, [text]);
  return (
    <svg
      class="qr"
      viewBox={`-2 -2 ${path.size + 4} ${path.size + 4}`}
      role="img"
      aria-label="QR code of the address"
    >
      <rect x="-2" y="-2" width={path.size + 4} height={path.size + 4} fill="#fff" />
      <path d={path.d} fill="#1d2a21" />
    </svg>
  );
}

/** A payment's key stays while its details do: trying again after a cut pays once, changed details are a new payment. */
function useKey(details: string): { readonly key: string; renew(): void } {
  const kept = useRef({ details, key: crypto.randomUUID() });
  if (kept.current.details !== details) kept.current = { details, key: crypto.randomUUID() };
  return {
    key: kept.current.key,
    renew: () => {
      kept.current = { details, key: crypto.randomUUID() };
    },
  };
}

function Send({ balance, reload }: { balance: bigint | undefined; reload: () => void }) {
  const [to, setTo] = useState('');
  const [amount, setAmount] = useState('');
  const [memo, setMemo] = useState('');
  const [confirm, setConfirm] = useState(false);
  const [sent, setSent] = useState<{ transactionId: string; height: number }>();
  const grains = parseAcorns(amount);
  const payment = useKey(`${to.trim()} ${grains} ${memo}`);
  const badTo = to !== '' && !/^acorn1[0-9a-z]{30,}$/.test(to.trim());
  const badAmount = amount !== '' && (grains === undefined || grains === 0n);
  const tooMuch = grains !== undefined && balance !== undefined && grains > balance;
  const badMemo = new TextEncoder().encode(memo).length > 64;
  const advice = badTo
    ? 'An address begins with acorn1.'
    : badAmount
      ? 'Expected an amount such as 12.5, with at most nine decimals.'
      : tooMuch
        ? 'That is more than the balance.'
        : badMemo
          ? 'The memo is longer than 64 bytes.'
          : '';
  const valid = to !== '' && amount !== '' && advice === '';
  if (sent !== undefined) {
    return (
      <div aria-live="polite">
        <p>
          <strong>Sent.</strong> Final in <a href={`/ledger/block/${sent.height}`}>block {sent.height}</a>,
          transaction <Id id={sent.transactionId} kind="tx" />.
        </p>
        <button
          type="button"
          onClick={() => {
            payment.renew();
            setSent(undefined);
            setConfirm(false);
            setAmount('');
            setMemo('');
          }}
        >
          Send again
        </button>
      </div>
    );
  }
  if (confirm && grains !== undefined) {
    return (
      <div>
        <p>
          Send <strong>{acorns(grains)} acorns</strong> to
        </p>
        <p class="path">{to.trim()}</p>
        {memo !== '' && <p class="note">Memo, for everybody to read: “{memo}”</p>}
        <p class="note">What is sent cannot be called back.</p>
        <div class="row">
          <Act
            label="Send now"
            run={() =>
              call<{ transactionId: string; height: number }>(
                'POST',
                '/wallet/transfers',
                { to: to.trim(), amountGrains: String(grains), memo },
                { 'idempotency-key': payment.key },
              ).then((done) => {
                setSent(done);
                reload();
              })
            }
          />
          <button type="button" onClick={() => setConfirm(false)}>
            Back
          </button>
        </div>
      </div>
    );
  }
  return (
    <form
      class="form"
      onSubmit={(event) => {
        event.preventDefault();
        if (valid) setConfirm(true);
      }}
    >
      <label>
        To
        <input
          value={to}
          placeholder="acorn1…"
          autocomplete="off"
          aria-invalid={badTo}
          aria-describedby="send-advice"
          spellcheck={false}
          onInput={(event) => setTo(event.currentTarget.value)}
        />
      </label>
      <label>
        Amount in acorns
        <input
          inputMode="decimal"
          value={amount}
          placeholder="12.5"
          aria-invalid={badAmount || tooMuch}
          aria-describedby="send-advice"
          onInput={(event) => setAmount(event.currentTarget.value)}
        />
      </label>
      <label>
        Memo (public, up to 64 bytes)
        <input
          value={memo}
          aria-invalid={badMemo}
          aria-describedby="send-advice"
          onInput={(event) => setMemo(event.currentTarget.value)}
        />
      </label>
      <p id="send-advice" class="advice" aria-live="polite">
        {advice}
      </p>
      <button class="primary" type="submit" disabled={!valid}>
        Continue
      </button>
    </form>
  );
}

const COPIED_MS = 2_000;

function CopyAddress({ address }: { address: string }) {
  const [copied, setCopied] = useState(false);
  return (
    <button
      type="button"
      aria-live="polite"
      onClick={() =>
        void navigator.clipboard.writeText(address).then(() => {
          setCopied(true);
          setTimeout(() => setCopied(false), COPIED_MS);
        })
      }
    >
      {copied ? 'Copied' : 'Copy address'}
    </button>
  );
}

export function Wallet() {
  const wallet = useApi<{ accountId: string; balanceGrains: string; waiting: number }>('/wallet');
  const seat = useApi<Seat>('/seat');
  return (
    <div class="grid">
      <Card title="Balance">
        <Show from={wallet}>
          {(data) => (
            <div class="address">
              <QrCode text={data.accountId} />
              <div>
                <p class="lead">
                  <Amount grains={data.balanceGrains} />
                </p>
                <Proven accountId={data.accountId} shownGrains={data.balanceGrains} />
                {seat.data && seat.data.bondGrains !== '0' && (
                  <p class="note">
                    <Amount grains={seat.data.bondGrains} /> more are locked as the bond of this node's seat
                  </p>
                )}
                {data.waiting > 0 && (
                  <p class="note">
                    {data.waiting} {data.waiting === 1 ? 'transaction' : 'transactions'} on the way
                  </p>
                )}
                <p class="path">{data.accountId}</p>
                <CopyAddress address={data.accountId} />
              </div>
            </div>
          )}
        </Show>
      </Card>
      <Card title="Send">
        <Send balance={wallet.data && BigInt(wallet.data.balanceGrains)} reload={wallet.reload} />
      </Card>
      <ChipCard />
      <Card title="History" wide>
        <Show from={wallet}>{(data) => <History accountId={data.accountId} />}</Show>
      </Card>
    </div>
  );
}
