// Drawing spread over frames: jobs run in order, each frame for at most a few milliseconds, so that no task is long.

type Job = { run: () => void; dead: boolean };
const queue: Job[] = [];
let armed = false;
const budgetMs = 12;

function turn(): void {
  const end = performance.now() + budgetMs;
  while (queue.length && performance.now() < end) {
    const j = queue.shift()!;
    if (!j.dead) j.run();
  }
  armed = queue.length > 0;
  if (armed) next();
}
function next(): void {
  // a hidden tab has no animation frames; its charts are drawn all the same, slowly
  if (document.hidden) setTimeout(turn, 50);
  else requestAnimationFrame(turn);
}

/** Queues a drawing; the returned function cancels it. */
export function schedule(run: () => void): () => void {
  const job: Job = { run, dead: false };
  queue.push(job);
  if (!armed) { armed = true; next(); }
  return () => { job.dead = true; };
}
