package milena.oracle;

import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;
import org.apache.kafka.common.record.internal.BaseRecords;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.SimpleRecord;

import java.lang.reflect.Field;
import java.lang.reflect.ParameterizedType;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Random;

/**
 * Fills a generated message at random with what one version of it can carry.
 *
 * <p>The version's schema names the fields and says which may be null; the class says which Java
 * type holds them. Values come from small pools with the extremes among them, so that many messages
 * compress into a small fixture.
 */
final class Filler {
    private static final String[] WORDS = {
        "orders",
        "payments",
        "consumer",
        "rack",
        "zürich",
        "日本",
        "group",
        "a.b-c_d",
        "127.0.0.1",
        "transaction",
    };

    private final Random random;
    private final boolean defaults;
    private final List<byte[]> records = new ArrayList<>();

    /**
     * With {@code defaults} a message stays as constructed, save for what may not be null on the
     * wire.
     */
    Filler(String seed, boolean defaults) {
        this.random = new Random(seed.hashCode());
        // Random's first draws from near seeds are alike.
        for (int i = 0; i < 8; i++) {
            random.nextInt();
        }
        this.defaults = defaults;
    }

    /** The records put into the message, in the order of the wire. */
    List<byte[]> records() {
        return records;
    }

    void fill(Object struct, short version) throws ReflectiveOperationException {
        Schema schema = ((Schema[]) struct.getClass().getField("SCHEMAS").get(null))[version];
        for (BoundField bound : schema.fields()) {
            if (bound.def.type instanceof TaggedFields tagged) {
                for (org.apache.kafka.common.protocol.types.Field field :
                        tagged.fields().values()) {
                    if (random.nextBoolean()) {
                        set(struct, field.name, field.type, version);
                    }
                }
            } else {
                set(struct, bound.def.name, bound.def.type, version);
            }
        }
    }

    private void set(Object struct, String wireName, Type type, short version)
            throws ReflectiveOperationException {
        Field field = field(struct.getClass(), wireName);
        field.setAccessible(true);
        if (!defaults) {
            field.set(struct, value(field, type, version));
        } else if (field.get(struct) == null && !type.isNullable()) {
            field.set(struct, required(field));
        }
    }

    private static Field field(Class<?> struct, String wireName) {
        String plain = wireName.replace("_", "");
        for (Field field : struct.getDeclaredFields()) {
            if (field.getName().equalsIgnoreCase(plain)) {
                return field;
            }
        }
        throw new IllegalStateException(struct.getName() + " has no field for " + wireName);
    }

    /** What stands for null where the version has no null. */
    private Object required(Field field) throws ReflectiveOperationException {
        Class<?> holder = field.getType();
        if (holder == byte[].class) {
            return new byte[0];
        } else if (holder == ByteBuffer.class) {
            return ByteBuffer.allocate(0);
        } else if (holder == String.class) {
            return "";
        } else if (holder == List.class) {
            return new ArrayList<>();
        } else if (BaseRecords.class.isAssignableFrom(holder)) {
            records.add(new byte[0]);
            return MemoryRecords.EMPTY;
        }
        return holder.getConstructor().newInstance();
    }

    private Object value(Field field, Type type, short version)
            throws ReflectiveOperationException {
        if (type.isNullable() && random.nextInt(4) == 0) {
            return null;
        }
        if (type.isArray()) {
            return array(field, type.arrayElementType().orElseThrow(), version);
        }
        return scalar(field.getType(), type, version);
    }

    @SuppressWarnings("unchecked")
    private Object array(Field field, Type element, short version)
            throws ReflectiveOperationException {
        ParameterizedType generic =
                (ParameterizedType)
                        (field.getGenericType() instanceof ParameterizedType list
                                ? list
                                : field.getType().getGenericSuperclass());
        Collection<Object> array =
                (Collection<Object>)
                        (field.getType() == List.class
                                ? new ArrayList<>()
                                : field.getType().getConstructor().newInstance());
        for (int left = random.nextInt(3); left > 0; left--) {
            array.add(listed(generic.getActualTypeArguments()[0], element, version));
        }
        return array;
    }

    /** An element of an array, which may be an array itself. */
    private Object listed(java.lang.reflect.Type holder, Type type, short version)
            throws ReflectiveOperationException {
        if (holder instanceof ParameterizedType inner) {
            List<Object> array = new ArrayList<>();
            for (int left = random.nextInt(3); left > 0; left--) {
                array.add(
                        listed(
                                inner.getActualTypeArguments()[0],
                                type.arrayElementType().orElseThrow(),
                                version));
            }
            return array;
        }
        return scalar((Class<?>) holder, type, version);
    }

    private Object scalar(Class<?> holder, Type type, short version)
            throws ReflectiveOperationException {
        String name = type.toString();
        if (name.equals("UINT16")) {
            return (int) number(0, 0xffff);
        } else if (name.equals("UINT32")) {
            return number(0, 0xffff_ffffL);
        } else if (holder == boolean.class || holder == Boolean.class) {
            return random.nextBoolean();
        } else if (holder == byte.class || holder == Byte.class) {
            return (byte) number(Byte.MIN_VALUE, Byte.MAX_VALUE);
        } else if (holder == short.class || holder == Short.class) {
            return (short) number(Short.MIN_VALUE, Short.MAX_VALUE);
        } else if (holder == int.class || holder == Integer.class) {
            return (int) number(Integer.MIN_VALUE, Integer.MAX_VALUE);
        } else if (holder == long.class || holder == Long.class) {
            return number(Long.MIN_VALUE, Long.MAX_VALUE);
        } else if (holder == double.class || holder == Double.class) {
            return number(-1_000_000, 1_000_000) / 8.0;
        } else if (holder == String.class) {
            return string();
        } else if (holder == Uuid.class) {
            return random.nextInt(8) == 0
                    ? Uuid.ZERO_UUID
                    : new Uuid(random.nextInt(64), random.nextInt(64));
        } else if (holder == byte[].class) {
            return bytes();
        } else if (holder == ByteBuffer.class) {
            return ByteBuffer.wrap(bytes());
        } else if (BaseRecords.class.isAssignableFrom(holder)) {
            return batch();
        }
        Object struct = holder.getConstructor().newInstance();
        fill(struct, version);
        return struct;
    }

    private long number(long lowest, long highest) {
        return switch (random.nextInt(12)) {
            case 0 -> lowest;
            case 1 -> highest;
            case 2 -> Math.max(lowest, -1);
            case 3 -> 0;
                // Every byte of the number differs: a wrong width or byte order shows.
            case 4 -> 0x0102_0304_0506_0708L & highest;
            default -> random.nextInt((int) Math.min(highest, 1000));
        };
    }

    private String string() {
        return switch (random.nextInt(16)) {
            case 0 -> "";
                // A compact length of two bytes.
            case 1 -> "long-".repeat(30);
            default -> WORDS[random.nextInt(WORDS.length)] + random.nextInt(100);
        };
    }

    private byte[] bytes() {
        byte[] bytes = new byte[random.nextInt(8) == 0 ? 0 : 1 + random.nextInt(12)];
        random.nextBytes(bytes);
        return bytes;
    }

    private MemoryRecords batch() {
        MemoryRecords batch =
                random.nextInt(8) == 0
                        ? MemoryRecords.EMPTY
                        : MemoryRecords.withRecords(
                                Compression.NONE,
                                new SimpleRecord(
                                        1_700_000_000_000L + random.nextInt(1000),
                                        bytes(),
                                        bytes()));
        byte[] copy = new byte[batch.sizeInBytes()];
        batch.buffer().duplicate().get(copy);
        records.add(copy);
        return batch;
    }
}
