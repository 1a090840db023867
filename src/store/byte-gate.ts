// Lets in so many bytes of work at once; what is more waits, first come, first served.

export class ByteGate {
  readonly #bytesMax: number;
  readonly #waiting: { readonly bytes: number; readonly enter: () => void }[] = [];
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Runs `work` when there is room for its bytes; work larger than the gate runs alone. */
  async pass<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    const taken = Math.min(bytes, this.#bytesMax);
    if (this.#waiting.length > 0 || !this.#fits(taken)) {
      await new Promise<void>((enter) => this.#waiting.push({ bytes: taken, enter }));
    } else {
      this.#bytes += taken;
    }
    try {
      return await work();
    } finally {
      this.#bytes -= taken;
      this.#letIn();
    }
  }

  #fits(bytes: number): boolean {
    return this.#bytes + bytes <= this.#bytesMax;
  }

  #letIn(): void {
    while (this.#waiting.length > 0 && this.#fits(this.#waiting[0]!.bytes)) {
      const { bytes, enter } = this.#waiting.shift()!;
      this.#bytes += bytes;
      enter();
    }
  }
}
