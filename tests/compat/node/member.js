// A member of a group, as KafkaJS plays it; what it is told and says: groups/member.py.
import kafkajs from 'kafkajs'

const [address, topic, groupId, commit] = process.argv.slice(2)
const complain = () => ({ label, log }) => process.stderr.write(`${label} ${JSON.stringify(log)}\n`)
const kafka = new kafkajs.Kafka({
  brokers: [address],
  logLevel: kafkajs.logLevel.WARN,
  logCreator: complain,
  retry: { initialRetryTime: 100, maxRetryTime: 500, retries: 100 },
})
const consumer = kafka.consumer({
  groupId,
  sessionTimeout: 3000,
  heartbeatInterval: 300,
  rebalanceTimeout: 5000,
  maxWaitTimeInMs: 200,
})
await consumer.connect()
await consumer.subscribe({ topics: [topic], fromBeginning: true })

const byItself = {
  autoCommitInterval: 200,
  eachMessage: async ({ partition, message }) => {
    process.stdout.write(`${partition} ${message.offset} ${message.value}\n`)
  },
}
const byHand = {
  autoCommit: false,
  eachBatch: async ({ batch, heartbeat }) => {
    const { partition, messages } = batch
    const lines = messages.map(({ offset, value }) => `${partition} ${offset} ${value}\n`)
    process.stdout.write(lines.join(''))
    const offset = (BigInt(batch.lastOffset()) + 1n).toString()
    await consumer.commitOffsets([{ topic, partition, offset }])
    await heartbeat()
  },
}
process.on('SIGTERM', async () => {
  await consumer.disconnect()
  process.exit(0)
})
await consumer.run(commit === 'auto' ? byItself : byHand)
