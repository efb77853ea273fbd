// Bitrix24's own pull client against the emulator: in place of a portal.

import './browser.mjs'

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { B24OAuth, B24PullClientManager } from '@bitrix24/b24jssdk'

import { Emulator } from './emulator.mjs'

const MODES = { 3: 'text', 4: 'protobuf', 5: 'json-rpc' }
const TIMEOUT = 20_000

/** The vendor's client of the REST API with the tokens the emulator gives out when it starts. */
function application(emulator) {
  const endpoint = `${emulator.url}/rest`
  const b24 = new B24OAuth(
    {
      applicationToken: emulator.fact('application_token'),
      userId: 1,
      memberId: emulator.fact('member_id'),
      accessToken: emulator.fact('access_token'),
      refreshToken: emulator.fact('refresh_token'),
      expires: Math.floor(Date.now() / 1000) + 3600,
      expiresIn: 3600,
      scope: 'crm,pull,user_brief',
      domain: new URL(emulator.url).host,
      clientEndpoint: endpoint,
      serverEndpoint: `${endpoint}/`,
      status: 'L'
    },
    { clientId: emulator.fact('client_id'), clientSecret: emulator.fact('client_secret') }
  )
  b24.offClientSideWarning()
  return b24
}

async function until(condition) {
  for (const end = Date.now() + TIMEOUT; ; ) {
    if (await condition()) {
      return
    }
    assert.ok(Date.now() < end, `not true in time: ${condition}`)
    await pause(10)
  }
}

/** Connects, and passes the messages for module `rest` to `check`. */
async function connected(version, options, check) {
  const emulator = await Emulator.start('--push-version', version, ...options)
  const b24 = application(emulator)
  const client = new B24PullClientManager({ b24, restApplication: emulator.fact('client_id'), userId: 1 })
  const received = []
  client.subscribe({ moduleId: 'rest', callback: message => received.push(message) })
  try {
    await client.start()
    await check({ emulator, b24, client, received })
  } finally {
    client.destroy()
    await emulator.stop()
  }
}

for (const version of Object.keys(MODES)) {
  describe(`version ${version}`, { timeout: 60_000 }, () => {
    test('receives what is published, alone and joined', () =>
      connected(version, [], async ({ emulator, client, received }) => {
        assert.equal(client.getDebugInfo()['WebSocket mode'], MODES[version])
        await emulator.publish([{ connector_id: 'OneC', count: 1 }])
        await until(() => received.length === 1)
        assert.equal(received[0].command, 'event_offline')
        assert.deepEqual(received[0].params, [{ connector_id: 'OneC', count: 1 }])
        assert.equal(received[0].extra.revision_web, 19)

        const { frames } = await emulator.counters()
        const many = [1, 2, 3].map(count => ({
          publish: { module_id: 'rest', command: 'event_offline', params: [{ connector_id: 'Склад "1"', count }] }
        }))
        await emulator.control(...many)
        await until(() => received.length === 4)
        assert.deepEqual(received.slice(1).map(message => message.params[0].count), [1, 2, 3])
        assert.equal(received[1].params[0].connector_id, 'Склад "1"')
        const counters = await emulator.counters()
        assert.equal(counters.frames, frames + 1)
        assert.equal(counters.polls, 0)
        if (version === '5') {
          await until(async () => (await emulator.counters()).macks === 4)
        }
      }))

    test('receives a change made over REST', () =>
      connected(version, [], async ({ emulator, b24, received }) => {
        const call = (method, params) => b24.actions.v2.call.make({ method, params })
        await call('event.bind', { event: 'ONCRMDEALADD', event_type: 'offline' })
        // By somebody else: an application's own changes are not queued for it.
        await emulator.byWebhook('crm.deal.add', { fields: { TITLE: 'x' } })
        await until(() => received.length === 1)
        assert.deepEqual(received[0].params, [{ connector_id: '', count: 1 }])
        const queue = await call('event.offline.get', {})
        assert.equal(queue.getData().result.events[0].EVENT_NAME, 'ONCRMDEALADD')
      }))

    test('receives what a portal on-premise publishes', () =>
      connected(version, ['--on-premise'], async ({ emulator, client, received }) => {
        assert.match(client.getConnectionPath('webSocket'), /\/bitrix\/subws\/\?/)
        await emulator.publish([{ connector_id: 'OneC', count: 1 }])
        await until(() => received.length === 1)
      }))

    test('misses nothing while its connection is broken', () =>
      connected(version, [], async ({ emulator, client, received }) => {
        await emulator.publish([{ connector_id: '', count: 1 }])
        await until(() => received.length === 1)
        await emulator.control('drop_connections')
        await until(() => !client.isConnected())
        await emulator.publish([{ connector_id: '', count: 2 }])
        await until(() => received.length === 2)
        assert.equal((await emulator.counters()).websockets_accepted, 2)
      }))

    test('continues with the new channel', () =>
      connected(version, [], async ({ emulator, client, received }) => {
        const old = client.getConfig().channels.shared.id
        await emulator.control({ expire_channel: { command: true, action: 'get_config' } })
        await until(async () => (await emulator.counters()).websockets_accepted === 2 && client.isConnected())
        assert.notEqual(client.getConfig().channels.shared.id, old)
        await emulator.publish([{ connector_id: '', count: 1 }])
        await until(() => received.length === 1)
      }))

    test('answers pings', () =>
      connected(version, ['--ping', '1'], async ({ emulator }) => {
        await until(async () => (await emulator.counters()).pongs >= 2)
      }))
  })
}

test('a wrong channel is refused with the code the client knows', { timeout: 60_000 }, () =>
  connected('4', [], async ({ client }) => {
    const address = client.getConnectionPath('webSocket').replace(/CHANNEL_ID=[^&]*/, 'CHANNEL_ID=abc.00')
    const [code] = await once(new WebSocket(address), 'close')
    assert.equal(code, 4010)
  }))

test('calls of a client of version 5 are answered', { timeout: 60_000 }, () =>
  connected('5', [], async ({ client }) => {
    assert.match(client.getConnectionPath('webSocket'), /token=/)
    assert.equal(await client.ping(), 'pong')
    assert.equal((await client.listChannels()).length, 2)
  }))
