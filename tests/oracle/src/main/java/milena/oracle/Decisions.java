package milena.oracle;

import java.io.File;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.ScheduledFuture;

import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.record.internal.SimpleRecord;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.metadata.properties.MetaProperties;
import org.apache.kafka.metadata.properties.MetaPropertiesVersion;
import org.apache.kafka.metadata.properties.PropertiesUtils;
import org.apache.kafka.server.util.Scheduler;
import org.apache.kafka.storage.internals.checkpoint.CleanShutdownFileHandler;
import org.apache.kafka.storage.internals.checkpoint.LeaderEpochCheckpointFile;
import org.apache.kafka.storage.internals.checkpoint.OffsetCheckpointFile;
import org.apache.kafka.storage.internals.checkpoint.PartitionMetadata;
import org.apache.kafka.storage.internals.epoch.LeaderEpochFileCache;
import org.apache.kafka.storage.internals.log.AbortedTxn;
import org.apache.kafka.storage.internals.log.AppendOrigin;
import org.apache.kafka.storage.internals.log.BatchMetadata;
import org.apache.kafka.storage.internals.log.CompletedTxn;
import org.apache.kafka.storage.internals.log.OffsetIndex;
import org.apache.kafka.storage.internals.log.ProducerAppendInfo;
import org.apache.kafka.storage.internals.log.ProducerStateEntry;
import org.apache.kafka.storage.internals.log.ProducerStateManager;
import org.apache.kafka.storage.internals.log.ProducerStateManagerConfig;
import org.apache.kafka.storage.internals.log.TimeIndex;
import org.apache.kafka.storage.internals.log.TransactionIndex;
import org.apache.kafka.storage.internals.log.UnifiedLog;

/** What Kafka's log decides about random epochs and producers, one line a step, and the small files it writes. */
final class Decisions {
    private static final TopicPartition PARTITION = new TopicPartition("orders", 3);
    private static final int NEAR_WRAP = Integer.MAX_VALUE - 4;

    private final Random random = new Random(7);
    private final PrintStream out;
    private final Path folder;

    private Decisions(PrintStream out, Path folder) {
        this.out = out;
        this.folder = folder;
    }

    static void write(Path file) throws Exception {
        try (PrintStream out = new PrintStream(file.toFile())) {
            Decisions decisions = new Decisions(out, Files.createTempDirectory("decisions"));
            decisions.files();
            for (int run = 0; run < 60; run++)
                decisions.epochs(run);
            for (int run = 0; run < 30; run++)
                decisions.producers(run);
        }
    }

    private File file(String name) {
        return folder.resolve(name).toFile();
    }

    private static String hex(File file) throws IOException {
        return HexFormat.of().formatHex(Files.readAllBytes(file.toPath()));
    }

    private void files() throws Exception {
        for (String topic : new String[] {"orders", "t".repeat(249)}) {
            TopicPartition partition = new TopicPartition(topic, 12);
            out.println("name " + UnifiedLog.logDeleteDirName(partition));
            out.println("name " + UnifiedLog.logStrayDirName(partition));
            out.println("name " + UnifiedLog.logFutureDirName(partition));
        }
        new OffsetCheckpointFile(file("offsets"), null).write(Map.of(new TopicPartition("orders", 0), 4711L));
        out.println("offsets " + hex(file("offsets")));
        new CleanShutdownFileHandler(folder.toString()).write(17);
        out.println("clean " + hex(file(".kafka_cleanshutdown")));
        Uuid id = new Uuid(0x0123456789abcdefL, 0xfedcba9876543210L);
        Files.writeString(file("metadata").toPath(), new PartitionMetadata(0, id).encode());
        out.println("partition " + hex(file("metadata")));
        MetaProperties meta = new MetaProperties.Builder().setVersion(MetaPropertiesVersion.V1)
            .setClusterId("a=b:c d!#\\").setNodeId(7).setDirectoryId(id).build();
        PropertiesUtils.writePropertiesFile(meta.toProperties(), file("meta").getPath(), false);
        out.println("meta " + hex(file("meta")));
        OffsetIndex offsets = new OffsetIndex(file("1000.index"), 1000, 80);
        offsets.append(1005, 4096);
        offsets.append(1300, 9000);
        offsets.flush();
        out.println("index-open " + hex(file("1000.index")));
        offsets.close();
        out.println("index " + hex(file("1000.index")));
        TimeIndex times = new TimeIndex(file("1000.timeindex"), 1000, 120);
        times.maybeAppend(50, 1005);
        times.maybeAppend(50, 1005);
        times.maybeAppend(60, 1300);
        times.flush();
        out.println("timeindex-open " + hex(file("1000.timeindex")));
        times.close();
        out.println("timeindex " + hex(file("1000.timeindex")));
        TransactionIndex transactions = new TransactionIndex(0, file("0.txnindex"));
        transactions.append(new AbortedTxn(1, 5, 20, 10));
        transactions.append(new AbortedTxn(2, 10, 30, 31));
        transactions.close();
        out.println("txnindex " + hex(file("0.txnindex")));
    }

    private void epochs(int run) throws IOException {
        LeaderEpochCheckpointFile checkpoint = new LeaderEpochCheckpointFile(file("epochs" + run), null);
        LeaderEpochFileCache cache = new LeaderEpochFileCache(PARTITION, checkpoint, new Never());
        out.println("epochs");
        for (int step = 0; step < 12; step++) {
            long offset = random.nextInt(60);
            int epoch = random.nextInt(10);
            switch (random.nextInt(6)) {
                case 0, 1, 2 -> {
                    cache.assign(epoch, offset);
                    out.println("assign " + epoch + " " + offset);
                }
                case 3 -> {
                    cache.truncateFromEndAsyncFlush(offset);
                    out.println("cut-end " + offset);
                }
                case 4 -> {
                    cache.truncateFromStartAsyncFlush(offset);
                    out.println("cut-start " + offset);
                }
                default -> { }
            }
            int asked = random.nextInt(13) - 1;
            Map.Entry<Integer, Long> end = cache.endOffsetFor(asked, 70);
            out.println("end-of " + asked + " " + end.getKey() + " " + end.getValue());
            offset = random.nextInt(70);
            out.println("epoch-of " + offset + " " + cache.epochForOffset(offset).orElse(-1));
        }
        checkpoint.write(cache.epochEntries());
        out.println("checkpoint " + hex(file("epochs" + run)));
    }

    private void producers(int run) throws Exception {
        File logs = file("producers" + run);
        Files.createDirectory(logs.toPath());
        ProducerStateManagerConfig config = new ProducerStateManagerConfig(10, false);
        ProducerStateManager states = new ProducerStateManager(PARTITION, logs, 900_000, config, Time.SYSTEM);
        int[] epochs = {3, 3, 3};
        int[] next = {NEAR_WRAP, NEAR_WRAP, NEAR_WRAP};
        out.println("producers");
        for (int step = 0; step < 40; step++) {
            int id = random.nextInt(3);
            int raise = random.nextInt(12);
            int epoch = Math.max(0, epochs[id] + (raise == 0 ? 1 : raise == 1 ? -1 : 0));
            int kind = random.nextInt(40);
            if (kind < 8) {
                marker(states, id, epoch, epochs, next);
            } else if (kind < 12) {
                long highWatermark = Math.max(0, states.mapEndOffset() - random.nextInt(12));
                states.onHighWatermarkUpdated(highWatermark);
                out.println("high-watermark " + highWatermark);
            } else if (kind < 13) {
                long now = 1000 + states.mapEndOffset() + random.nextInt(10) - 5;
                states.removeExpiredProducers(now);
                out.println("expire " + now);
            } else {
                batch(states, id, epoch, epochs, next);
            }
            File snapshot = file("snapshot");
            Files.deleteIfExists(snapshot.toPath());
            ProducerStateManager.writeSnapshot(snapshot, new TreeMap<>(states.activeProducers()), false);
            long unstable = states.firstUnstableOffset().map(offset -> offset.messageOffset).orElse(-1L);
            // The snapshot's version and checksum: the rest follows from them.
            out.println("now " + unstable + " " + states.mapEndOffset() + " " + hex(snapshot).substring(0, 12));
        }
    }

    private void marker(ProducerStateManager states, int id, int known, int[] epochs, int[] next) {
        boolean abort = random.nextBoolean();
        int coordinator = random.nextInt(20) == 0 ? 4 : 5;
        short version = (short) (random.nextBoolean() ? 1 : 2);
        short epoch = (short) (version == 2 && random.nextInt(3) > 0 ? known + 1 : known);
        AppendOrigin origin = random.nextInt(5) == 0 ? AppendOrigin.REPLICATION : AppendOrigin.COORDINATOR;
        long offset = states.mapEndOffset();
        out.print("marker " + id + " " + epoch + " " + coordinator + " " + offset + " " + abort + " " + version + " "
            + origin + " ");
        try {
            ProducerAppendInfo info = states.prepareUpdate(id, origin);
            ControlRecordType type = abort ? ControlRecordType.ABORT : ControlRecordType.COMMIT;
            EndTransactionMarker marker = new EndTransactionMarker(type, coordinator);
            Optional<CompletedTxn> ended = info.appendEndTxnMarker(marker, epoch, offset, 1000 + offset, version);
            states.update(info);
            String text = "nothing";
            if (ended.isPresent()) {
                text = ended.get().firstOffset() + "," + states.lastStableOffset(ended.get());
                states.completeTxn(ended.get());
            }
            states.updateMapEndOffset(offset + 1);
            next[id] = epoch == epochs[id] ? next[id] : 0;
            epochs[id] = epoch;
            out.println(text);
        } catch (RuntimeException refusal) {
            out.println(refusal.getClass().getSimpleName());
        }
    }

    private void batch(ProducerStateManager states, int id, int epoch, int[] epochs, int[] next) throws Exception {
        int skew = random.nextInt(8);
        int sequence = (epoch == epochs[id] ? next[id] : 0) + (skew == 0 ? 1 : skew == 1 ? -1 - random.nextInt(9) : 0);
        sequence = Math.max(0, random.nextInt(8) == 0 ? Integer.MAX_VALUE - random.nextInt(6) : sequence);
        boolean transactional = random.nextInt(5) < 2;
        AppendOrigin origin = random.nextInt(12) == 0 ? AppendOrigin.REPLICATION : AppendOrigin.CLIENT;
        long offset = states.mapEndOffset();
        SimpleRecord[] records = new SimpleRecord[1 + random.nextInt(2)];
        for (int at = 0; at < records.length; at++)
            records[at] = new SimpleRecord(1000 + offset, new byte[] {1}, new byte[] {2});
        RecordBatch batch = MemoryRecords.withRecords(RecordBatch.CURRENT_MAGIC_VALUE, offset, Compression.NONE,
            TimestampType.CREATE_TIME, id, (short) epoch, sequence, 0, transactional, records).batchIterator().next();
        out.print("batch " + id + " " + epoch + " " + sequence + " " + offset + " " + records.length + " "
            + transactional + " " + origin + " ");
        Optional<BatchMetadata> duplicate = Optional.empty();
        Optional<ProducerStateEntry> entry = states.lastEntry(id);
        if (origin == AppendOrigin.CLIENT && entry.isPresent())
            duplicate = duplicateOf(entry.get(), batch);
        if (duplicate.isPresent()) {
            BatchMetadata known = duplicate.get();
            out.println(known.firstOffset() + "," + known.lastOffset() + "," + known.timestamp());
            return;
        }
        try {
            ProducerAppendInfo info = states.prepareUpdate(id, origin);
            info.append(batch, Optional.empty(), (short) 0);
            states.update(info);
            states.updateMapEndOffset(batch.nextOffset());
            epochs[id] = epoch;
            next[id] = batch.lastSequence() == Integer.MAX_VALUE ? 0 : batch.lastSequence() + 1;
            out.println("new");
        } catch (RuntimeException refusal) {
            out.println(refusal.getClass().getSimpleName());
        }
    }

    @SuppressWarnings("unchecked")
    private static Optional<BatchMetadata> duplicateOf(ProducerStateEntry entry, RecordBatch batch) throws Exception {
        Method find = ProducerStateEntry.class.getDeclaredMethod("findDuplicateBatch", RecordBatch.class);
        find.setAccessible(true);
        return (Optional<BatchMetadata>) find.invoke(entry, batch);
    }

    /** Runs nothing: the epochs' file is written here. */
    private static final class Never implements Scheduler {
        @Override
        public void startup() {
        }

        @Override
        public void shutdown() {
        }

        @Override
        public ScheduledFuture<?> schedule(String name, Runnable task, long delayMs, long periodMs) {
            return null;
        }

        @Override
        public void resizeThreadPool(int threads) {
        }
    }
}
