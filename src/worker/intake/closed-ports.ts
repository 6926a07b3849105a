/**
 * Gives Node the chance to free closed ports, on a thread that otherwise never returns to its event loop. Node frees a port in
 * the last phase of the loop, which runs between the two turns that this function waits for. A closed port that is never freed
 * keeps 7 KB (Node 20).
 */
export async function finishClosing(): Promise<void> {
  await turn();
  await turn();
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
