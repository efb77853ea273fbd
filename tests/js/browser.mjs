// As much of a browser as the pull client needs to find WebSocket.

import WebSocket from 'ws'

const storage = new Map()
const location = new URL('http://127.0.0.1/')

globalThis.WebSocket = WebSocket
globalThis.document = { location }
globalThis.window = {
  WebSocket,
  location,
  addEventListener() {},
  removeEventListener() {},
  localStorage: {
    getItem: name => storage.get(name) ?? null,
    setItem: (name, value) => void storage.set(name, value),
    removeItem: name => void storage.delete(name)
  }
}
