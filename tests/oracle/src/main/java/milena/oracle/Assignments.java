package milena.oracle;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

import org.apache.kafka.common.Uuid;
import org.apache.kafka.coordinator.group.api.assignor.ConsumerGroupPartitionAssignor;
import org.apache.kafka.coordinator.group.api.assignor.GroupSpec;
import org.apache.kafka.coordinator.group.api.assignor.MemberAssignment;
import org.apache.kafka.coordinator.group.api.assignor.MemberSubscription;
import org.apache.kafka.coordinator.group.api.assignor.SubscribedTopicDescriber;
import org.apache.kafka.coordinator.group.api.assignor.SubscriptionType;
import org.apache.kafka.coordinator.group.assignor.RangeAssignor;
import org.apache.kafka.coordinator.group.assignor.UniformAssignor;

/** What Kafka's server-side assignors make of random groups, each through a few changes. */
final class Assignments {
    private static final int GROUPS = 120;
    private static final int STEPS = 6;
    private static final List<String> RACKS = List.of("a", "b", "c");

    private final Random random;
    private final boolean mixed;
    private final boolean racks;
    private final Map<Uuid, List<Set<String>>> topics = new TreeMap<>();
    /**
     * In the order in which we have them. Kafka's own is a hash map's, and where members are equal
     * otherwise, its uniform assignor gives to the first.
     */
    private final Map<String, Member> members = new TreeMap<>(Assignments::byBytes);

    /** A member as an assignor sees it. */
    private static final class Member implements MemberSubscription, MemberAssignment {
        String instance;
        String rack;
        Set<Uuid> topics = new TreeSet<>();
        Map<Uuid, Set<Integer>> assigned = Collections.emptyMap();

        @Override
        public Optional<String> rackId() {
            return Optional.ofNullable(rack);
        }

        @Override
        public Optional<String> instanceId() {
            return Optional.ofNullable(instance);
        }

        @Override
        public Set<Uuid> subscribedTopicIds() {
            return topics;
        }

        @Override
        public Map<Uuid, Set<Integer>> partitions() {
            return assigned;
        }
    }

    private Assignments(int group) {
        random = new Random(group);
        mixed = group % 2 == 1;
        racks = group % 3 == 0;
    }

    static void write(Path file) throws IOException {
        try (JsonLines.Writer out = new JsonLines.Writer(file)) {
            for (int group = 0; group < GROUPS; group++) new Assignments(group).live(out);
        }
    }

    private void live(JsonLines.Writer out) throws IOException {
        for (int at = 1 + random.nextInt(4); at > 0; at--) addTopic();
        for (int at = 1 + random.nextInt(7); at > 0; at--) join(null);
        for (int step = 0; step < STEPS; step++) {
            for (int at = step == 0 ? 0 : 1 + random.nextInt(2); at > 0; at--) change();
            ObjectNode line = describe();
            Map<String, MemberAssignment> range = assign(new RangeAssignor());
            Map<String, MemberAssignment> uniform = assign(new UniformAssignor());
            line.set("range", text(range));
            line.set("uniform", text(uniform));
            out.line(line);
            // A group whose assignor was another one begins out of balance.
            Map<String, MemberAssignment> kept = random.nextInt(6) == 0 ? range : uniform;
            members.forEach((id, member) -> member.assigned = frozen(kept.get(id)));
        }
    }

    private static int byBytes(String one, String other) {
        return Arrays.compareUnsigned(
                one.getBytes(StandardCharsets.UTF_8), other.getBytes(StandardCharsets.UTF_8));
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
                Uuid topic = List.copyOf(topics.keySet()).get(random.nextInt(topics.size()));
                for (int more = 1 + random.nextInt(6); more > 0; more--) addPartition(topic);
            }
            case 4 -> {
                if (random.nextBoolean()) addTopic();
                Set<Uuid> subscription = subscription();
                for (Member member : mixed ? Set.of(members.get(someone)) : members.values())
                    member.topics = subscription;
            }
            default -> {
                // Comes back with a new member id; if static, to what it had.
                Member left = members.remove(someone);
                Member back = join(left.instance);
                if (back.instance != null) back.assigned = left.assigned;
            }
        }
    }

    private Member join(String instance) {
        Member member = new Member();
        boolean isStatic = instance == null && random.nextInt(3) == 0;
        member.instance = isStatic ? name() : instance;
        member.rack = racks && random.nextInt(8) > 0 ? RACKS.get(random.nextInt(3)) : null;
        member.topics =
                mixed || members.isEmpty() ? subscription() : members.values().iterator().next().topics;
        members.put(name(), member);
        return member;
    }

    /** Texts that Java and UTF-8 put into different orders, too. */
    private String name() {
        String first = List.of("", "\uff5e", "\ud83d\ude00").get(Math.max(0, random.nextInt(12) - 9));
        return first + Integer.toString(random.nextInt(46656), 36);
    }

    private Set<Uuid> subscription() {
        Set<Uuid> chosen = new TreeSet<>(topics.keySet());
        chosen.removeIf(topic -> random.nextInt(3) == 0);
        return chosen.isEmpty() && random.nextInt(4) > 0 ? new TreeSet<>(topics.keySet()) : chosen;
    }

    private void addTopic() {
        // Ids of positive halves: Java, which compares numbers, puts them in the order of their bytes.
        Uuid topic = new Uuid(random.nextLong() >>> 1, random.nextLong() >>> 1);
        topics.put(topic, new ArrayList<>());
        for (int more = random.nextInt(3) == 0 ? 6 : 1 + random.nextInt(16); more > 0; more--)
            addPartition(topic);
    }

    private void addPartition(Uuid topic) {
        Set<String> replicas = new TreeSet<>();
        for (int replica = 0; racks && replica < 2; replica++) replicas.add(RACKS.get(random.nextInt(3)));
        topics.get(topic).add(replicas);
    }

    private Map<String, MemberAssignment> assign(ConsumerGroupPartitionAssignor assignor) {
        return new HashMap<>(assignor.assign(new Group(), new Topics()).members());
    }

    private final class Group implements GroupSpec {
        @Override
        public Collection<String> memberIds() {
            return members.keySet();
        }

        @Override
        public SubscriptionType subscriptionType() {
            boolean same = members.values().stream().map(member -> member.topics).distinct().count() == 1;
            return same ? SubscriptionType.HOMOGENEOUS : SubscriptionType.HETEROGENEOUS;
        }

        @Override
        public boolean isPartitionAssigned(Uuid topic, int partition) {
            return members.values().stream()
                    .anyMatch(member -> member.assigned.getOrDefault(topic, Set.of()).contains(partition));
        }

        @Override
        public boolean isPartitionAssignable(Uuid topic, int partition) {
            return true;
        }

        @Override
        public MemberSubscription memberSubscription(String member) {
            return members.get(member);
        }

        @Override
        public MemberAssignment memberAssignment(String member) {
            return members.get(member);
        }
    }

    private final class Topics implements SubscribedTopicDescriber {
        @Override
        public int numPartitions(Uuid topic) {
            return topics.containsKey(topic) ? topics.get(topic).size() : -1;
        }

        @Override
        public Set<String> racksForPartition(Uuid topic, int partition) {
            return topics.get(topic).get(partition);
        }
    }

    /** Kafka's assignors want maps that nobody can change. */
    private static Map<Uuid, Set<Integer>> frozen(MemberAssignment assignment) {
        if (assignment == null) return Collections.emptyMap();
        Map<Uuid, Set<Integer>> copy = new HashMap<>();
        assignment.partitions().forEach((topic, partitions) -> copy.put(topic, new HashSet<>(partitions)));
        return Collections.unmodifiableMap(copy);
    }

    private ObjectNode describe() {
        ObjectNode line = JsonLines.JSON.createObjectNode();
        ObjectNode all = line.putObject("topics");
        topics.forEach(
                (topic, partitions) -> {
                    ArrayNode list = all.putArray(topic.toString());
                    partitions.forEach(replicas -> list.add(String.join("", replicas)));
                });
        ObjectNode group = line.putObject("members");
        members.forEach(
                (id, member) -> {
                    ObjectNode node = group.putObject(id);
                    if (member.instance != null) node.put("instance", member.instance);
                    if (member.rack != null) node.put("rack", member.rack);
                    ArrayNode subscribed = node.putArray("topics");
                    member.topics.forEach(topic -> subscribed.add(topic.toString()));
                    node.set("assigned", partitions(member.assigned));
                });
        return line;
    }

    private static ObjectNode text(Map<String, MemberAssignment> assignments) {
        ObjectNode node = JsonLines.JSON.createObjectNode();
        new TreeMap<>(assignments)
                .forEach((member, assignment) -> node.set(member, partitions(assignment.partitions())));
        return node;
    }

    private static ObjectNode partitions(Map<Uuid, Set<Integer>> assigned) {
        ObjectNode node = JsonLines.JSON.createObjectNode();
        new TreeMap<>(assigned)
                .forEach(
                        (topic, partitions) -> {
                            ArrayNode list = node.putArray(topic.toString());
                            new TreeSet<>(partitions).forEach(list::add);
                        });
        return node;
    }
}
