// Starts the portal as a program and talks to it.

import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

const PROGRAM = process.env.B24_EMULATOR ?? 'b24-emulator'
// In the cloud, or on-premise with B24_ON_PREMISE=1.
const KIND = process.env.B24_ON_PREMISE === '1' ? ['--on-premise'] : []

export class Emulator {
  #process
  // What the program prints about itself: portal, client_id, access_token, …
  #facts = new Map()

  /** Starts it with these options of `b24-emulator serve` and waits until it listens. */
  static async start(...options) {
    const emulator = new Emulator()
    emulator.#process = spawn(PROGRAM, ['serve', '--quiet', ...KIND, ...options], { stdio: ['ignore', 'pipe', 'inherit'] })
    const failed = new Promise((_, reject) => {
      emulator.#process.once('error', reject)
      emulator.#process.once('exit', code => reject(new Error(`${PROGRAM} ended with ${code}`)))
    })
    failed.catch(() => {})
    await Promise.race([emulator.#read(), failed])
    return emulator
  }

  async #read() {
    for await (const line of createInterface({ input: this.#process.stdout })) {
      const [, name, value] = line.match(/^(\w+) +(\S+)$/) ?? []
      if (name) {
        this.#facts.set(name, value)
      }
      if (line.startsWith('Ctrl-C')) {
        return
      }
    }
    throw new Error(`${PROGRAM} printed nothing about itself`)
  }

  fact(name) {
    return this.#facts.get(name)
  }

  get url() {
    return this.fact('portal')
  }

  /** Makes something happen: see `Control` of the emulator. */
  async control(...items) {
    const response = await fetch(`${this.url}/control`, { method: 'POST', body: JSON.stringify(items) })
    if (!response.ok) {
      throw new Error(await response.text())
    }
  }

  /** Calls a method of the portal with the administrator's webhook. */
  async byWebhook(method, params) {
    const headers = { 'Content-Type': 'application/json' }
    const response = await fetch(`${this.fact('webhook')}${method}`, { method: 'POST', headers, body: JSON.stringify(params) })
    if (!response.ok) {
      throw new Error(await response.text())
    }
  }

  async counters() {
    const response = await fetch(`${this.url}/control`)
    return (await response.json()).counters
  }

  publish(params, module_id = 'rest', command = 'event_offline') {
    return this.control({ publish: { module_id, command, params } })
  }

  async stop() {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const ended = new Promise(resolve => this.#process.once('exit', resolve))
      this.#process.kill()
      await ended
    }
  }
}
