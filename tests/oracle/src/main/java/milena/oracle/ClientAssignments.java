package milena.oracle;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Assignment;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.GroupSubscription;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Subscription;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.clients.consumer.StickyAssignor;
import org.apache.kafka.common.Cluster;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;

/** What the assignors of Kafka's client make of random classic groups, each through a few changes. */
final class ClientAssignments {
    private static final int GROUPS = 120;
    private static final int STEPS = 5;
    private static final List<String> RACKS = List.of("a", "b", "c");

    private final Random random;
    private final boolean mixed;
    private final boolean racks;
    /** Of each topic, of each partition, the brokers that have it; broker n is in rack n modulo 3. */
    private final Map<String, List<Set<Integer>>> topics = new TreeMap<>();
    private final Map<String, Member> members = new TreeMap<>();
    private int generation = 0;

    private static final class Member {
        String instance;
        String rack;
        Set<String> topics;
        List<TopicPartition> owned = List.of();
        int generation = -1;

        ByteBuffer userData() {
            StickyAssignor assignor = new StickyAssignor();
            assignor.onAssignment(
                    new Assignment(owned), new ConsumerGroupMetadata("g", generation, "", Optional.empty()));
            return assignor.subscriptionUserData(topics);
        }
    }

    private ClientAssignments(int group) {
        random = new Random(group);
        mixed = group % 2 == 1;
        racks = group % 3 > 0;
    }

    static void write(Path file) throws IOException {
        try (JsonLines.Writer out = new JsonLines.Writer(file)) {
            for (int group = 0; group < GROUPS; group++) new ClientAssignments(group).live(out);
        }
    }

    private void live(JsonLines.Writer out) throws IOException {
        for (int at = 1 + random.nextInt(4); at > 0; at--) addTopic();
        for (int at = 1 + random.nextInt(7); at > 0; at--) join(null);
        for (int step = 0; step < STEPS; step++) {
            for (int at = step == 0 ? 0 : 1 + random.nextInt(2); at > 0; at--) change();
            ObjectNode line = describe();
            line.set("range", text(assign(new RangeAssignor())));
            line.set("roundrobin", text(assign(new RoundRobinAssignor())));
            Map<String, Assignment> sticky = assign(new StickyAssignor());
            line.set("sticky", text(sticky));
            out.line(line);
            generation++;
            members.forEach(
                    (id, member) -> {
                        // Some miss a rebalance, and come back with what is no longer theirs.
                        if (random.nextInt(10) == 0) return;
                        member.owned = sticky.get(id).partitions();
                        member.generation = generation;
                    });
        }
    }

    private void change() {
        List<String> ids = new ArrayList<>(members.keySet());
        String someone = ids.get(random.nextInt(ids.size()));
        switch (random.nextInt(6)) {
            case 0, 1 -> join(null);
            case 2 -> {
                if (ids.size() > 1) members.remove(someone);
            }
            case 3 -> {
                String topic = List.copyOf(topics.keySet()).get(random.nextInt(topics.size()));
                for (int more = 1 + random.nextInt(6); more > 0; more--) addPartition(topic);
            }
            case 4 -> {
                if (random.nextBoolean()) addTopic();
                Set<String> subscription = subscription();
                for (Member member : mixed ? Set.of(members.get(someone)) : members.values())
                    member.topics = subscription;
            }
            default -> join(members.remove(someone).instance);
        }
    }

    private void join(String instance) {
        Member member = new Member();
        boolean isStatic = instance == null && random.nextInt(3) == 0;
        member.instance = isStatic ? name() : instance;
        member.rack = racks && random.nextInt(6) > 0 ? RACKS.get(random.nextInt(3)) : null;
        member.topics =
                mixed || members.isEmpty() ? subscription() : members.values().iterator().next().topics;
        members.put(name(), member);
    }

    /** Texts that Java and UTF-8 put into different orders, too. */
    private String name() {
        String first = List.of("", "\uff5e", "\ud83d\ude00").get(Math.max(0, random.nextInt(12) - 9));
        return first + Integer.toString(random.nextInt(46656), 36);
    }

    private Set<String> subscription() {
        Set<String> chosen = new TreeSet<>(topics.keySet());
        if (random.nextInt(5) == 0) chosen.add("unknown");
        chosen.removeIf(topic -> random.nextInt(3) == 0);
        return chosen.isEmpty() ? new TreeSet<>(topics.keySet()) : chosen;
    }

    private void addTopic() {
        String topic = "topic-" + Integer.toString(random.nextInt(1296), 36);
        topics.put(topic, new ArrayList<>());
        for (int more = random.nextInt(2) == 0 ? 6 : 1 + random.nextInt(12); more > 0; more--)
            addPartition(topic);
    }

    private void addPartition(String topic) {
        Set<Integer> replicas = new TreeSet<>();
        for (int replica = 0; replica < 2; replica++) replicas.add(random.nextInt(6));
        topics.get(topic).add(replicas);
    }

    private Map<String, Assignment> assign(ConsumerPartitionAssignor assignor) {
        Map<String, Subscription> subscriptions = new HashMap<>();
        members.forEach(
                (id, member) -> {
                    Subscription subscription =
                            new Subscription(
                                    List.copyOf(member.topics),
                                    assignor instanceof StickyAssignor ? member.userData() : null,
                                    member.owned,
                                    member.generation,
                                    Optional.ofNullable(member.rack));
                    subscription.setGroupInstanceId(Optional.ofNullable(member.instance));
                    subscriptions.put(id, subscription);
                });
        List<Node> nodes = new ArrayList<>();
        for (int id = 0; id < 6; id++)
            nodes.add(new Node(id, "host", 9092, racks ? RACKS.get(id % 3) : null));
        List<PartitionInfo> partitions = new ArrayList<>();
        topics.forEach(
                (topic, all) -> {
                    for (int at = 0; at < all.size(); at++) {
                        Node[] replicas = all.get(at).stream().map(nodes::get).toArray(Node[]::new);
                        partitions.add(new PartitionInfo(topic, at, replicas[0], replicas, replicas));
                    }
                });
        Cluster cluster = new Cluster("c", nodes, partitions, Set.of(), Set.of());
        return assignor.assign(cluster, new GroupSubscription(subscriptions)).groupAssignment();
    }

    private ObjectNode describe() {
        ObjectNode line = JsonLines.JSON.createObjectNode();
        ObjectNode all = line.putObject("topics");
        topics.forEach(
                (topic, partitions) -> {
                    ArrayNode list = all.putArray(topic);
                    for (Set<Integer> replicas : partitions) {
                        StringBuilder in = new StringBuilder();
                        if (racks) replicas.forEach(id -> in.append(RACKS.get(id % 3)));
                        list.add(in.toString());
                    }
                });
        ObjectNode group = line.putObject("members");
        members.forEach(
                (id, member) -> {
                    ObjectNode node = group.putObject(id);
                    if (member.instance != null) node.put("instance", member.instance);
                    if (member.rack != null) node.put("rack", member.rack);
                    ArrayNode subscribed = node.putArray("topics");
                    member.topics.forEach(subscribed::add);
                    node.set("owned", partitions(member.owned));
                    node.put("generation", member.generation);
                    node.put("userData", HexFormat.of().formatHex(member.userData().array()));
                });
        return line;
    }

    private static ObjectNode text(Map<String, Assignment> assignments) {
        ObjectNode node = JsonLines.JSON.createObjectNode();
        new TreeMap<>(assignments)
                .forEach((member, assignment) -> node.set(member, partitions(assignment.partitions())));
        return node;
    }

    private static ObjectNode partitions(List<TopicPartition> assigned) {
        Map<String, Set<Integer>> sorted = new TreeMap<>();
        for (TopicPartition partition : assigned)
            sorted.computeIfAbsent(partition.topic(), topic -> new TreeSet<>()).add(partition.partition());
        ObjectNode node = JsonLines.JSON.createObjectNode();
        sorted.forEach(
                (topic, all) -> {
                    ArrayNode list = node.putArray(topic);
                    all.forEach(list::add);
                });
        return node;
    }
}
