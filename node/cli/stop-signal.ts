/** Resolves when the process is asked to stop; a second time ends it at once. */
export function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    let asked = false;
    const ask = (): void => {
      if (asked) process.exit(130);
      asked = true;
      resolve();
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, ask);
    // A node of a development network ends with the process that started it.
    process.on('disconnect', ask);
    // To listen for it would keep a stopped node alive until then.
    process.channel?.unref();
  });
}
