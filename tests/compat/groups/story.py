"""story.py CLIENT: what the members of one client's groups are put through, a story per protocol.

Three members read a topic of six partitions into which records flow. One is killed, one comes, the
broker is killed (where it is ours). Nothing may be missing, no committed offset may go back. Then,
with all committed, one member hands over to another: from there on no record may come twice.
"""
import sys
import time

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from broker import Broker
from clients import CLIENTS, command
from flow import Flow, PARTITIONS, QUIET
from member import Member

PATIENCE_SECONDS = 40


class Story:
    def __init__(self, broker, client, protocol, commit):
        self.broker, self.client, self.protocol, self.commit = broker, client, protocol, commit
        self.group = self.topic = f"group-{client}-{protocol}-{commit}"
        new = NewTopic(self.topic, num_partitions=PARTITIONS, replication_factor=1)
        self.ask(lambda admin: admin.create_topics([new]))
        self.flow = Flow(broker.address, self.topic)
        self.members, self.gone, self.committed = [], [], {}

    def ask(self, question):
        """Of a new client each time: an old one may long look for a broker that was killed."""
        admin = AdminClient({"bootstrap.servers": self.broker.address, **QUIET})
        (answer,) = question(admin).values()
        return answer.result(10)

    def join(self, *instance):
        member = Member(command(
            self.client, self.broker.address, self.topic, self.group, self.commit,
            self.protocol.removeprefix("static-"), *instance))
        self.members.append(member)
        return member

    def wait_for(self, what, is_so):
        until = time.monotonic() + PATIENCE_SECONDS
        while not is_so():
            if time.monotonic() > until:
                raise SystemExit(f"in vain: {what}")
            for member in self.members:
                if member.process.poll() is not None:
                    raise SystemExit("a member ended")
            time.sleep(0.2)

    def wait_for_records(self, what, members):
        """Until each of `members` has read what came after now, and together all partitions."""
        first = self.flow.count

        def is_so():
            of = [{record[1] for record in one.seen if record[3] >= first} for one in members]
            return all(of) and len(set().union(*of)) == PARTITIONS
        self.wait_for(what, is_so)

    def commits(self):
        """The group's offsets, which never go back."""
        asked = [ConsumerGroupTopicPartitions(self.group)]
        told = self.ask(lambda admin: admin.list_consumer_group_offsets(asked))
        now = {one.partition: one.offset for one in told.topic_partitions}
        for partition, offset in self.committed.items():
            if now.get(partition, -1) < offset:
                raise SystemExit(f"committed went back: {self.committed}, then {now}")
        self.committed = now
        return now

    def ends(self):
        return {partition: (self.flow.count - partition + PARTITIONS - 1) // PARTITIONS
                for partition in range(PARTITIONS)}

    def records(self):
        return [record for one in self.members + self.gone for record in one.seen]

    def settle(self):
        """Everything is consumed and committed."""
        self.flow.stop()
        numbers = range(self.flow.count)
        self.wait_for("every record", lambda: {one[3] for one in self.records()} >= set(numbers))
        for _, partition, offset, number in self.records():
            if (partition, offset) != (number % PARTITIONS, number // PARTITIONS):
                raise SystemExit(f"{number} came as {offset} of {partition}")
        self.wait_for(f"committed {self.ends()}", lambda: self.commits() == self.ends())

    def is_in(self, state):
        """Whether the group is in that state, with the members that we know."""
        try:
            told = self.ask(lambda admin: admin.describe_consumer_groups([self.group]))
        except KafkaException as error:
            # The first group's coordinator has to be made.
            if error.args[0].code() == KafkaError.COORDINATOR_LOAD_IN_PROGRESS:
                return False
            raise
        return (told.state.name, len(told.members)) == (state, len(self.members))

    def depart(self, member):
        self.members.remove(member)
        self.gone.append(member)

    def tell(self):
        first, second, third = (self.join() for _ in range(3))
        self.flow.start()
        self.wait_for_records("three members read", self.members)
        self.commits()
        self.depart(second)
        second.kill()
        self.wait_for_records("two took over from the killed one", self.members)
        self.commits()
        self.join()
        self.wait_for_records("the new one reads too", self.members)
        if self.broker.is_ours:
            self.commits()
            self.broker.restart_after_kill()
            self.wait_for_records("reading after the broker was killed", self.members)
        self.settle()

        settled = self.flow.count
        self.depart(first)
        first.leave()
        self.join()
        self.wait_for("stable", lambda: self.is_in("STABLE"))
        time.sleep(1)  # cooperative members rebalance twice
        self.wait_for("stable again", lambda: self.is_in("STABLE"))
        self.flow.start()
        self.wait_for_records("the last one reads too", self.members)
        self.settle()
        numbers = [record[3] for record in self.records() if record[3] >= settled]
        if len(numbers) != len(set(numbers)):
            twice = sorted({one for one in numbers if numbers.count(one) > 1})
            raise SystemExit(f"twice after a clean hand-over: {twice[:20]}")
        for member in list(self.members):
            self.depart(member)
            member.leave()
        self.wait_for("empty", lambda: self.is_in("EMPTY"))
        if self.commits() != self.ends():
            raise SystemExit(f"at last committed {self.committed}, not {self.ends()}")
        self.ask(lambda admin: admin.delete_consumer_groups([self.group]))
        self.ask(lambda admin: admin.delete_topics([self.topic]))

    def tell_of_static_members(self):
        """One who is killed and comes again under its name, in time, has what it had; so have the
        others, whom nobody disturbs."""
        first, second, third = (self.join(name) for name in "abc")
        self.wait_for("stable", lambda: self.is_in("STABLE"))
        self.flow.start()
        self.wait_for_records("three members read", self.members)
        self.depart(second)
        second.kill()
        again = self.join("b")
        self.wait_for_records("the one who came again reads", self.members)
        self.settle()
        owned = [{record[1] for record in one.seen} for one in (first, second, third, again)]
        if owned[1] != owned[3] or sum(map(len, owned[:3])) != PARTITIONS:
            raise SystemExit(f"who read what: {owned}")
        for member in list(self.members):
            self.depart(member)
            member.leave()
        self.ask(lambda admin: admin.delete_topics([self.topic]))

    def end(self):
        self.flow.flowing = False
        for member in self.members:
            member.process.kill()

    def explain(self):
        missing = set(range(self.flow.count)) - {record[3] for record in self.records()}
        print(f"{self.group}, of {self.flow.count} records never read: {sorted(missing)[:20]}\n"
              f"committed {self.committed}")
        for member in self.gone + self.members:
            print(f"a member read {len(member.seen)} records and said:\n{member.said()}")
        print(f"the broker said:\n{self.broker.log()}")


client = sys.argv[1]
broker = Broker()
try:
    for protocol, commit in CLIENTS[client]:
        if sys.argv[2:] and protocol not in sys.argv[2:]:
            continue
        begun = time.monotonic()
        story = Story(broker, client, protocol, commit)
        try:
            if protocol.startswith("static-"):
                story.tell_of_static_members()
            else:
                story.tell()
        except BaseException:
            story.explain()
            raise
        finally:
            story.end()
        repeated = len(story.records()) - story.flow.count
        print(f"{protocol}, {commit} commits: {story.flow.count} records, {repeated} of them again "
              f"after a kill, {time.monotonic() - begun:.0f} s", flush=True)
finally:
    broker.stop()
print("well")
