/** Runs `read` now. The answer gives the value, or throws the error, whenever it is called. */
export function outcomeOf<T>(read: () => T): () => T {
  try {
    const value = read();
    return () => value;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}
