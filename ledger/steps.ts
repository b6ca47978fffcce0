/** Long work in short steps: whoever has an event loop lets it turn between them. */
export type Steps<T> = Generator<undefined, T, undefined>;

/** All steps at once. */
export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}
