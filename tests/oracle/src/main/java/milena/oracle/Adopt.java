package milena.oracle;

import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.metadata.PartitionRecord;
import org.apache.kafka.common.metadata.TopicRecord;
import org.apache.kafka.metadata.bootstrap.BootstrapDirectory;
import org.apache.kafka.metadata.bootstrap.BootstrapMetadata;
import org.apache.kafka.server.common.ApiMessageAndVersion;
import org.apache.kafka.storage.internals.checkpoint.LeaderEpochCheckpointFile;
import org.apache.kafka.storage.internals.checkpoint.PartitionMetadataFile;
import org.apache.kafka.storage.internals.log.EpochEntry;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Makes a newly formatted controller believe in the topics that a log directory holds.
 *
 * <p>A controller with an empty metadata log begins with the records of its bootstrap file. There
 * the topics are put, with the ids of their partition.metadata and without a leader, so that the
 * broker is elected in the epoch after the last one in the log, as after any restart.
 */
final class Adopt {
    private static final int NO_LEADER = -1;

    /** Not those that are deleted, moved or strayed: their folders have more behind the number. */
    private static final Pattern PARTITION = Pattern.compile("(.+)-(\\d+)");

    private Adopt() {}

    static void write(Path data, Path metadata) throws Exception {
        Properties meta = new Properties();
        try (var in = Files.newInputStream(data.resolve("meta.properties"))) {
            meta.load(in);
        }
        int node = Integer.parseInt(meta.getProperty("node.id"));
        Uuid directory = Uuid.fromString(meta.getProperty("directory.id"));

        BootstrapDirectory bootstrap = new BootstrapDirectory(metadata.toString());
        BootstrapMetadata formatted = bootstrap.read();
        short version = formatted.metadataVersion().partitionRecordVersion();
        List<ApiMessageAndVersion> records = new ArrayList<>(formatted.records());
        for (Map.Entry<String, SortedMap<Integer, Path>> topic : topics(data).entrySet()) {
            Uuid id = topicId(topic.getKey(), topic.getValue());
            records.add(
                    new ApiMessageAndVersion(
                            new TopicRecord().setName(topic.getKey()).setTopicId(id), (short) 0));
            for (Map.Entry<Integer, Path> partition : topic.getValue().entrySet()) {
                records.add(
                        new ApiMessageAndVersion(
                                new PartitionRecord()
                                        .setTopicId(id)
                                        .setPartitionId(partition.getKey())
                                        .setReplicas(List.of(node))
                                        .setIsr(List.of(node))
                                        .setDirectories(List.of(directory))
                                        .setLeader(NO_LEADER)
                                        .setLeaderEpoch(lastEpoch(partition.getValue())),
                                version));
            }
            System.out.println(
                    topic.getKey() + ' ' + id + ", partitions " + topic.getValue().keySet());
        }
        bootstrap.writeBinaryFile(BootstrapMetadata.fromRecords(records, "the topics of " + data));
    }

    private static SortedMap<String, SortedMap<Integer, Path>> topics(Path data)
            throws IOException {
        SortedMap<String, SortedMap<Integer, Path>> topics = new TreeMap<>();
        try (Stream<Path> folders = Files.list(data).filter(Files::isDirectory)) {
            folders.forEach(
                    folder -> {
                        Matcher name = PARTITION.matcher(folder.getFileName().toString());
                        if (name.matches() && !name.group(1).equals("__cluster_metadata")) {
                            topics.computeIfAbsent(name.group(1), topic -> new TreeMap<>())
                                    .put(Integer.parseInt(name.group(2)), folder);
                        }
                    });
        }
        return topics;
    }

    private static Uuid topicId(String topic, SortedMap<Integer, Path> partitions) {
        if (partitions.lastKey() != partitions.size() - 1) {
            throw new IllegalStateException(
                    topic + " has the partitions " + partitions.keySet() + ", with gaps");
        }
        List<Uuid> ids =
                partitions.values().stream()
                        .map(
                                folder ->
                                        new PartitionMetadataFile(
                                                        PartitionMetadataFile.newFile(
                                                                folder.toFile()),
                                                        null)
                                                .read()
                                                .topicId())
                        .distinct()
                        .toList();
        if (ids.size() != 1) {
            throw new IllegalStateException(topic + " has the ids " + ids);
        }
        return ids.get(0);
    }

    private static int lastEpoch(Path folder) throws IOException {
        if (!Files.exists(LeaderEpochCheckpointFile.newFile(folder.toFile()).toPath())) {
            return 0;
        }
        List<EpochEntry> entries =
                new LeaderEpochCheckpointFile(
                                LeaderEpochCheckpointFile.newFile(folder.toFile()), null)
                        .read();
        return entries.isEmpty() ? 0 : entries.get(entries.size() - 1).epoch();
    }
}
