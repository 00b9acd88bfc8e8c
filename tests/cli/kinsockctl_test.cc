// SPDX-License-Identifier: Apache-2.0
//
// The program kinsockctl, in a process of its own, and a daemon in this one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "google/protobuf/util/json_util.h"
#include "tests/cli/run_ctl.h"
#include "tests/server/file_daemon.h"
#include "tests/server/running_daemon.h"
#include "tests/support/simulated_guest.h"
#include "tests/support/stage.h"
#include "tests/support/temp_dir.h"

namespace kinsock {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::Outcome;
using testing::RunCtl;
using testing::RunningDaemon;
using ::testing::StartsWith;

class KinsockctlTest : public ::testing::Test {
 protected:
  Outcome Ctl(std::vector<std::string> arguments) {
    return RunCtl(arguments, {{"KINSOCK_ENDPOINT", "unix:" + daemon_.api_socket()}});
  }

  RunningDaemon daemon_;
};

TEST_F(KinsockctlTest, AVmFromItsCreationToItsEnd) {
  const Outcome created = Ctl({"vm", "create", "web", "--cid", "42", "--uds-path", daemon_ / "web.uds", "--groups",
                               "a,b", "--labels", "tier=web,zone=1"});
  EXPECT_EQ(created.code, 0) << created.error;
  EXPECT_THAT(created.out, AllOf(HasSubstr("web   LISTENING  42   default  a+b"), HasSubstr(daemon_ / "web.uds")));

  EXPECT_THAT(Ctl({"vm", "list"}).out,
              AllOf(StartsWith("NAME  STATE      CID  GROUPS  READY  AGE\n"), HasSubstr("web ")));
  EXPECT_EQ(Ctl({"vm", "list", "-o", "name"}).out, "vms/web\n");
  EXPECT_THAT(Ctl({"vm", "list", "--no-headers"}).out, StartsWith("web "));
  EXPECT_THAT(Ctl({"vm", "get", "vms/web", "-o", "yaml"}).out,
              AllOf(HasSubstr("name: vms/web\n"), HasSubstr("  tier: web\n")));

  const Outcome deleted = Ctl({"vm", "delete", "web"});
  EXPECT_EQ(deleted.code, 0);
  EXPECT_EQ(deleted.out, "vms/web deleted\n");
  EXPECT_EQ(Ctl({"vm", "delete", "web"}).code, 3);
  EXPECT_EQ(Ctl({"vm", "delete", "web", "--allow-missing"}).out, "vms/web was not there\n");
}

TEST_F(KinsockctlTest, SomeOfAVmChanges) {
  ASSERT_EQ(Ctl({"vm", "create", "web", "--labels", "tier=web,zone=1", "--groups", "a"}).code, 0);
  const Outcome set = Ctl({"vm", "set", "web", "--labels", "tier=db,zone-,new=1", "--groups", "b,c", "--annotations",
                           "note=a, b", "-o", "yaml"});
  EXPECT_EQ(set.code, 0) << set.error;
  EXPECT_THAT(set.out, AllOf(HasSubstr("tier: db\n"), HasSubstr("new: \"1\"\n"), Not(HasSubstr("zone")),
                             HasSubstr("- b\n"), HasSubstr("generation: \"2\""), HasSubstr("note: \"a, b\"")));
  EXPECT_EQ(Ctl({"vm", "set", "web", "--labels", "x=1", "--etag", "old"}).code, 4);
  EXPECT_EQ(Ctl({"vm", "set", "nope", "--labels", "x=1"}).code, 3);
  EXPECT_EQ(Ctl({"vm", "set", "web"}).code, 2);
  EXPECT_EQ(Ctl({"vm", "set", "web", "--labels", "x"}).code, 2);
}

TEST_F(KinsockctlTest, AVmHasAQuota) {
  ASSERT_EQ(Ctl({"vm", "create", "web", "--quota", "max_connections=100,bytes_to_guest=10M/1Mi"}).code, 0);
  const auto quota = [&] {
    v1::Vm vm;
    EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(Ctl({"vm", "get", "web", "-o", "json"}).out, &vm).ok());
    return vm.spec().quota();
  };
  EXPECT_EQ(quota().max_connections(), 100u);
  EXPECT_EQ(quota().bytes_to_guest().rate(), 10'000'000u);
  EXPECT_EQ(quota().bytes_to_guest().burst(), 1u << 20);
  ASSERT_EQ(Ctl({"vm", "set", "web", "--quota", "max_connections=0", "--quota", "connects_per_second=5"}).code, 0);
  EXPECT_EQ(quota().max_connections(), 0u);
  EXPECT_EQ(quota().connects_per_second().rate(), 5u);
  EXPECT_EQ(quota().bytes_to_guest().rate(), 10'000'000u) << "what is not named stays";
  EXPECT_EQ(Ctl({"vm", "wait", "web", "--for=QuotaLimited=false"}).code, 0);
  EXPECT_EQ(Ctl({"vm", "set", "web", "--ready-when", "notify:9000"}).code, 0);
  EXPECT_EQ(Ctl({"vm", "wait", "web", "--for=GuestReady=false"}).code, 0);
  EXPECT_EQ(Ctl({"vm", "set", "web", "--ready-when", "none"}).code, 0);
  EXPECT_EQ(Ctl({"vm", "set", "web", "--ready-when", "soon"}).code, 2);
  const Outcome nowhere = Ctl({"vm", "create", "other", "--ready-when", "notify:0"});
  EXPECT_EQ(nowhere.code, 1);
  EXPECT_THAT(nowhere.error, HasSubstr("--ready-when 0 is not a port"));

  const Outcome refused = Ctl({"vm", "set", "web", "--quota", "bytes_to_guest=10k"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.error, HasSubstr("quota.bytes_to_guest.rate"));
  for (const char* bad : {"max_connections", "nosuch=1", "max_connections=many", "bytes_to_guest=1M/x",
                          "max_connections=5000000000", "max_buffer_bytes=18446744073709551615k"}) {
    EXPECT_EQ(Ctl({"vm", "set", "web", "--quota", bad}).code, 2) << bad;
  }
}

TEST_F(KinsockctlTest, APolicyIsChangedInWhatIsSaidOnly) {
  ASSERT_EQ(
      Ctl({"policy", "create", "closed", "--deny", "--from", "tier=web", "--to", "group:db", "--ports", "22"}).code, 0);
  const Outcome set = Ctl({"policy", "set", "closed", "--ports", "22,1-1023", "--priority", "-5", "--log"});
  EXPECT_EQ(set.code, 0) << set.error;
  EXPECT_THAT(set.out, ContainsRegex("-5 +closed +deny +tier=web +group:db +22,1-1023 +yes +no"));
  EXPECT_THAT(Ctl({"policy", "set", "closed", "--from", "any", "--ports", "any", "--allow", "--no-log"}).out,
              ContainsRegex("-5 +closed +allow +any +group:db +any +no +no"));
  const Outcome tried = Ctl({"policy", "set", "closed", "--deny", "--validate-only"});
  EXPECT_THAT(tried.out, HasSubstr(" deny "));
  EXPECT_THAT(Ctl({"policy", "get", "closed"}).out, HasSubstr(" allow ")) << "that was a trial";
  EXPECT_EQ(Ctl({"policy", "set", "closed"}).code, 2);
  EXPECT_EQ(Ctl({"policy", "set", "nosuch", "--deny"}).code, 3);
}

TEST_F(KinsockctlTest, AVmIsDrainedAndResumed) {
  ASSERT_EQ(Ctl({"vm", "create", "web"}).code, 0);
  EXPECT_THAT(Ctl({"vm", "drain", "web", "--reset-after", "30s"}).out, HasSubstr("web   DRAINED "));
  EXPECT_EQ(Ctl({"vm", "wait", "web", "--for=DRAINED"}).code, 0);
  EXPECT_THAT(Ctl({"vm", "resume", "web"}).out, HasSubstr("web   LISTENING "));
  EXPECT_EQ(Ctl({"vm", "drain", "web", "--reset-after", "soon"}).code, 2);
  EXPECT_EQ(Ctl({"vm", "resume", "nope"}).code, 3);
  EXPECT_THAT(Ctl({"vm", "reset", "web"}).out, HasSubstr("web   LISTENING "));
  EXPECT_EQ(Ctl({"vm", "delete", "web", "--drain-timeout", "10s"}).out, "vms/web deleted\n");
}

TEST_F(KinsockctlTest, AForwardFromItsCreationToItsEnd) {
  ASSERT_EQ(Ctl({"vm", "create", "web"}).code, 0);
  const Outcome made = Ctl(
      {"forward", "create", "ssh", "web:22", "--listen", "unix:" + (daemon_ / "ssh"), "--mode", "0600", "--proxy-v2"});
  EXPECT_EQ(made.code, 0) << made.error;
  EXPECT_THAT(made.out, AllOf(StartsWith("NAME  VM   PORT  DIRECTION"), HasSubstr("ssh   web  22    to-guest"),
                              HasSubstr("unix:" + (daemon_ / "ssh"))));
  ASSERT_EQ(Ctl({"forward", "create", "log", "web:514", "--target", "tcp:127.0.0.1:514"}).code, 0);
  EXPECT_EQ(Ctl({"forward", "list", "-o", "name"}).out, "forwards/log\nforwards/ssh\n");
  EXPECT_EQ(Ctl({"forward", "list", "--vm", "web", "--no-headers", "-o", "name"}).out, "forwards/log\nforwards/ssh\n");
  EXPECT_THAT(Ctl({"forward", "get", "ssh", "-o", "json"}).out,
              AllOf(HasSubstr("\"mode\": 384"), HasSubstr("\"sendProxyV2\": true")));
  const Outcome set = Ctl({"forward", "set", "log", "--port", "515", "--target", "tcp:[::1]:514"});
  EXPECT_EQ(set.code, 0) << set.error;
  EXPECT_THAT(set.out, AllOf(HasSubstr("515"), HasSubstr("tcp:[::1]:514")));
  EXPECT_THAT(Ctl({"forward", "create", "ssh", "web:22", "--listen", "unix:" + (daemon_ / "s")}).error,
              HasSubstr("forwards/ssh exists"));
  EXPECT_EQ(Ctl({"forward", "delete", "ssh", "--reset"}).code, 0);
  EXPECT_EQ(Ctl({"forward", "get", "ssh"}).code, 3);
  // What makes no sense asks the daemon nothing.
  EXPECT_EQ(Ctl({"forward", "create", "x", "web", "--listen", "unix:/x"}).code, 2);
  EXPECT_EQ(Ctl({"forward", "create", "x", "web:22"}).code, 2);
  EXPECT_EQ(Ctl({"forward", "create", "x", "web:22", "--listen", "unix:/x", "--mode", "rw"}).code, 2);
  EXPECT_EQ(Ctl({"forward", "set", "log"}).code, 2);
}

TEST_F(KinsockctlTest, SocketsAreWhoseTheyAreSaidToBe) {
  ASSERT_EQ(Ctl({"vm", "create", "web", "--socket-mode", "0600", "--socket-group", std::to_string(getegid())}).code, 0);
  EXPECT_THAT(Ctl({"vm", "get", "web", "-o", "json"}).out,
              AllOf(HasSubstr("\"mode\": 384"), HasSubstr("\"group\": \"" + std::to_string(getegid()) + "\"")));
  const Outcome wrong = Ctl({"vm", "create", "db", "--socket-mode", "rw"});
  EXPECT_EQ(wrong.code, 2);
  EXPECT_THAT(wrong.error, HasSubstr("--socket-mode: \"rw\" is not a mode"));
}

TEST_F(KinsockctlTest, AVmGetsAnotherCid) {
  ASSERT_EQ(Ctl({"vm", "create", "web", "--cid", "42"}).code, 0);
  EXPECT_THAT(Ctl({"vm", "reset", "web", "--new-cid", "43", "--validate-only"}).out, HasSubstr("  43 "));
  EXPECT_THAT(Ctl({"vm", "get", "web"}).out, HasSubstr("  42 "));
  EXPECT_THAT(Ctl({"vm", "reset", "web", "--new-cid", "43"}).out, HasSubstr("  43 "));
  EXPECT_THAT(Ctl({"vm", "reset", "web", "--new-cid", "50-51"}).out, HasSubstr("  50 "));
  EXPECT_THAT(Ctl({"vm", "reset", "web", "--new-cid", "auto"}).out, HasSubstr("  1024 "));
  EXPECT_THAT(Ctl({"cid", "list"}).out, AllOf(HasSubstr("42"), HasSubstr("QUARANTINED")));
  const Outcome reserved = Ctl({"vm", "reset", "web", "--new-cid", "2"});
  EXPECT_EQ(reserved.code, 1);
  EXPECT_THAT(reserved.error, HasSubstr("--new-cid"));
  EXPECT_EQ(Ctl({"vm", "reset", "web", "--new-cid", "other"}).code, 2);
  EXPECT_EQ(Ctl({"vm", "reset", "web", "--sticky-cid"}).code, 2);
  EXPECT_EQ(Ctl({"vm", "reset", "nope", "--new-cid", "9"}).code, 3);
}

TEST_F(KinsockctlTest, AListShowsWhatMatches) {
  ASSERT_EQ(Ctl({"vm", "create", "a", "--labels", "tier=web"}).code, 0);
  ASSERT_EQ(Ctl({"vm", "create", "b", "--labels", "tier=db"}).code, 0);
  EXPECT_EQ(Ctl({"vm", "list", "--filter", "labels.tier = db", "-o", "name"}).out, "vms/b\n");
  const Outcome bad = Ctl({"vm", "list", "--filter", "tier = db"});
  EXPECT_EQ(bad.code, 1);
  EXPECT_THAT(bad.error, HasSubstr("  --filter at byte 1: \"tier\" is no field"));
  EXPECT_EQ(Ctl({"vm", "wait", "a", "--for=DriverReady=false"}).code, 0);
  EXPECT_EQ(Ctl({"vm", "wait", "a", "--for=DriverReady=maybe"}).code, 2);
}

TEST_F(KinsockctlTest, JsonIsThatOfTheApi) {
  ASSERT_EQ(Ctl({"vm", "create", "a", "--cid", "auto"}).code, 0);
  v1::Vm vm;
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(Ctl({"vm", "get", "a", "-o", "json"}).out, &vm).ok());
  EXPECT_EQ(vm.status().cid(), 1024u);
  v1::ListVmsResponse list;
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(Ctl({"vm", "list", "-o", "json"}).out, &list).ok());
  EXPECT_EQ(list.vms_size(), 1);
  EXPECT_EQ(list.next_page_token(), "");
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(Ctl({"vm", "list", "-o", "jsonl"}).out, &vm).ok());
  v1::Info info;
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(Ctl({"info", "-o", "json"}).out, &info).ok());
  EXPECT_EQ(info.counts().vms(), 1u);
  v1::ListConnectionsResponse connections;
  EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(Ctl({"conn", "list", "-o", "json"}).out, &connections).ok());
}

TEST_F(KinsockctlTest, ErrorsSayWhatToDoNextAndHaveTheirExitCode) {
  ASSERT_EQ(Ctl({"vm", "create", "a", "--cid", "42"}).code, 0);
  const Outcome taken = Ctl({"vm", "create", "b", "--cid", "42"});
  EXPECT_EQ(taken.code, 4);
  EXPECT_EQ(taken.out, "");
  EXPECT_THAT(taken.error, AllOf(StartsWith("kinsockctl: CID_IN_USE: "), HasSubstr("  try: kinsockctl vm get a\n")));

  const Outcome bad = Ctl({"vm", "create", "B", "--cid", "2", "--socket", "x"});
  EXPECT_EQ(bad.code, 1);
  EXPECT_THAT(bad.error, AllOf(HasSubstr("  NAME \"B\" is not"), HasSubstr("  --cid 2 is reserved"),
                               HasSubstr("  --socket \"x\"")));

  const Outcome absent = Ctl({"vm", "get", "nope"});
  EXPECT_EQ(absent.code, 3);
  EXPECT_THAT(absent.error, HasSubstr("  try: kinsockctl vm list\n"));
  EXPECT_EQ(Ctl({"conn", "list", "--vm", "nope"}).code, 3);
  EXPECT_EQ(Ctl({"vmm-args", "nope"}).code, 3);
}

TEST_F(KinsockctlTest, ACommandLineThatIsNotUnderstoodAsksTheDaemonNothing) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{},
                                             {"vm"},
                                             {"nosuch"},
                                             {"vm", "create"},
                                             {"vm", "list", "-o", "xml"},
                                             {"vm", "create", "a", "--cid", "x"},
                                             {"vm", "create", "a", "--labels", "x"},
                                             {"vm", "wait", "a", "--for", "HAPPY"},
                                             {"vm", "list", "--timeout", "soon"},
                                             {"vmm-args", "a", "--vmm", "none"},
                                             {"vmm-args", "a", "--mem", "much"},
                                             {"info", "--endpoint", "tcp:x"}}) {
    const Outcome outcome = Ctl(arguments);
    EXPECT_EQ(outcome.code, 2) << outcome.error;
    EXPECT_THAT(outcome.error, StartsWith("kinsockctl: "));
  }
  EXPECT_EQ(daemon_.Info().counts().vms(), 0u);
}

TEST_F(KinsockctlTest, HelpAndVersion) {
  EXPECT_THAT(Ctl({"--help"}).out, HasSubstr("vmm-args"));
  EXPECT_EQ(Ctl({"--help"}).code, 0);
  EXPECT_EQ(Ctl({"--version"}).out, "kinsockctl 0.1.0\n");
  EXPECT_THAT(Ctl({"vm", "create", "--help"}).out, HasSubstr("--uds-path"));
}

TEST_F(KinsockctlTest, AnErrorSendsToTheHelpOfTheCommandAtHand) {
  EXPECT_THAT(Ctl({"net", "create", "a_b"}).error, HasSubstr("  try: kinsockctl net create --help\n"));
  EXPECT_THAT(Ctl({"vm", "wait"}).error, HasSubstr("  try: kinsockctl vm wait --help\n"));
  EXPECT_THAT(Ctl({"vm"}).error, HasSubstr("  try: kinsockctl vm --help\n"));
  EXPECT_THAT(Ctl({}).error, HasSubstr("  try: kinsockctl --help\n"));
}

TEST_F(KinsockctlTest, WaitsUntilTheGuestIsReady) {
  testing::Stage stage;
  testing::SimulatedGuest guest(stage);
  ASSERT_EQ(Ctl({"vm", "create", "a"}).code, 0);
  const Outcome early = Ctl({"vm", "wait", "a", "--for=ACTIVE", "--timeout", "100ms"});
  EXPECT_EQ(early.code, 124);
  EXPECT_THAT(early.error, HasSubstr("vms/a is LISTENING, not yet ACTIVE"));
  v1::Vm vm;
  ASSERT_TRUE(daemon_.Get("vms/a", &vm).ok());
  ASSERT_TRUE(guest.PowerOn(vm.status().vhost_user_socket()).ok());
  EXPECT_THAT(Ctl({"vm", "wait", "a", "--for=ACTIVE"}).out, HasSubstr("ACTIVE"));
  EXPECT_EQ(Ctl({"vm", "wait", "a", "--for=DriverReady", "-o", "name"}).out, "vms/a\n");
  const Outcome attached = Ctl({"vm", "delete", "a"});
  EXPECT_EQ(attached.code, 4);
  EXPECT_THAT(attached.error, HasSubstr("  try: kinsockctl vm delete a --force\n"));
  EXPECT_EQ(Ctl({"vm", "delete", "a", "--force"}).code, 0);
  EXPECT_EQ(Ctl({"vm", "wait", "a", "--for=deleted"}).code, 0);
  EXPECT_EQ(Ctl({"vm", "wait", "a", "--for=ACTIVE"}).code, 3);
}

TEST_F(KinsockctlTest, StatisticsOfOneVmAndOfAll) {
  testing::Stage stage;
  testing::SimulatedGuest guest(stage);
  ASSERT_EQ(Ctl({"vm", "create", "a"}).code, 0);
  ASSERT_EQ(Ctl({"vm", "create", "b"}).code, 0);
  v1::Vm vm;
  ASSERT_TRUE(daemon_.Get("vms/a", &vm).ok());
  ASSERT_TRUE(guest.PowerOn(vm.status().vhost_user_socket()).ok());
  ASSERT_EQ(Ctl({"vm", "wait", "a", "--for=ACTIVE"}).code, 0);
  testing::Stream call = guest.Connect(99, 80);
  ASSERT_TRUE(stage.RunUntil([&] { return call.closed(); }));

  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"stats"}, {"stats", "a"}, {"vm", "get", "a", "--stats"}}) {
    const Outcome shown = Ctl(command);
    EXPECT_EQ(shown.code, 0) << shown.error;
    EXPECT_THAT(shown.out, AllOf(HasSubstr("\nsince "), HasSubstr("\nfrom_guest.connects_refused.PEER_GONE  1\n"),
                                 HasSubstr("\nfront_end_connects "), Not(HasSubstr("broken_rings"))));
  }
  EXPECT_THAT(Ctl({"stats", "vms/b"}).out, Not(HasSubstr("from_guest")));
  EXPECT_THAT(Ctl({"stats", "b", "-o", "wide"}).out, ContainsRegex("\nfrom_guest.credit_stalled +0s\n"));
  EXPECT_THAT(Ctl({"vm", "get", "a"}).out, Not(HasSubstr("from_guest")));
  EXPECT_EQ(Ctl({"stats", "nope"}).code, 3);

  v1::StatsReport report;
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(Ctl({"stats", "a", "-o", "json"}).out, &report).ok());
  EXPECT_EQ(report.vm(), "vms/a");
  EXPECT_EQ(report.stats().from_guest().connects_refused().at("PEER_GONE"), 1u);
  ASSERT_TRUE(
      google::protobuf::util::JsonStringToMessage(Ctl({"vm", "get", "a", "--stats", "-o", "json"}).out, &vm).ok());
  EXPECT_EQ(vm.status().stats().from_guest().refused(), 1u);
}

TEST_F(KinsockctlTest, EventsTellWhatHasHappened) {
  ASSERT_EQ(Ctl({"vm", "create", "a", "--cid", "42"}).code, 0);
  ASSERT_EQ(Ctl({"vm", "create", "b", "--cid", "42"}).code, 4);
  const Outcome events = Ctl({"events"});
  EXPECT_EQ(events.code, 0) << events.error;
  EXPECT_THAT(events.out,
              AllOf(ContainsRegex("Z  lifecycle  VM_CREATED  vms/a  vms/a was made, with CID 42\n"),
                    ContainsRegex("Z  audit  CHANGED  vms/a  uid [0-9]+ .pid [0-9]+. called VmService.CreateVm: OK\n"),
                    ContainsRegex("Z  audit  REFUSED  vms/b  ")));

  v1::Event first;
  const std::string json = Ctl({"events", "-o", "json"}).out;
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(json.substr(0, json.find('\n')), &first).ok());
  EXPECT_EQ(first.reason(), "VM_CREATED");
  const Outcome later = Ctl({"events", "-f", "--since", first.resource_version(), "--timeout", "300ms"});
  EXPECT_EQ(later.code, 124);
  EXPECT_THAT(later.out, AllOf(HasSubstr("REFUSED  vms/b"), Not(HasSubstr("VM_CREATED"))));
  EXPECT_EQ(Ctl({"events", "--since", first.resource_version()}).code, 2) << "without -f it would not end";
}

TEST_F(KinsockctlTest, WatchShowsWhatIsThere) {
  ASSERT_EQ(Ctl({"vm", "create", "a"}).code, 0);
  const Outcome watched = Ctl({"vm", "watch", "--timeout", "300ms"});
  EXPECT_EQ(watched.code, 124);
  EXPECT_THAT(watched.out, StartsWith("ADDED  a  LISTENING"));
}

TEST_F(KinsockctlTest, ConnectionsAreWatchedAndSortedByTheirRate) {
  testing::Stage stage;
  testing::SimulatedGuest guest(stage);
  ASSERT_EQ(Ctl({"vm", "create", "a", "--cid", "42"}).code, 0);
  ASSERT_TRUE(guest.PowerOn(daemon_ / "kinsock/vms/a/vhost.sock").ok());
  guest.Listen(80);
  testing::Stream call = guest.Connect(42, 80);  // itself
  ASSERT_TRUE(stage.RunUntil([&] { return call.established() || call.closed(); }));
  const Outcome nobody = Ctl({"conn", "watch", "--vm", "b"});
  EXPECT_EQ(nobody.code, 3);
  const Outcome watched = Ctl({"conn", "watch", "--vm", "a", "--timeout", "2s", "-o", "json"});
  EXPECT_EQ(watched.code, 124);
  EXPECT_THAT(watched.out, HasSubstr("\"type\":\"SYNCED\""));
  const Outcome listed = Ctl({"conn", "list", "--by-rate"});
  EXPECT_EQ(listed.code, 0) << listed.error;
  EXPECT_THAT(listed.out, HasSubstr("SENT/S"));
}

TEST_F(KinsockctlTest, ArgumentsForQemu) {
  ASSERT_EQ(Ctl({"vm", "create", "a"}).code, 0);
  EXPECT_EQ(Ctl({"vmm-args", "a", "--vmm", "qemu", "--mem", "1G"}).out,
            "-object memory-backend-memfd,id=mem0,size=1G,share=on -machine memory-backend=mem0 -chardev "
            "socket,id=kinsock0,path=" +
                (daemon_ / "kinsock/vms/a/vhost.sock") + " -device vhost-user-vsock-pci,chardev=kinsock0\n");
}

TEST(KinsockctlConfigTest, TheFileIsCheckedReadAgainAndDumped) {
  testing::FileDaemon daemon("vms: [{name: a, guest_cid: 3}, {name: b, guest_cid: 4}]\n");
  const auto ctl = [&](const std::vector<std::string>& arguments) {
    return RunCtl(arguments, {{"KINSOCK_ENDPOINT", "unix:" + daemon->api_socket()}});
  };
  const Outcome good = ctl({"config", "check"});
  EXPECT_EQ(good.code, 0) << good.error;
  EXPECT_EQ(good.out, "the configuration is good, and holds: 2 objects\n");
  const Outcome managed = ctl({"vm", "delete", "a"});
  EXPECT_EQ(managed.code, 4);
  EXPECT_THAT(managed.error, HasSubstr("kinsockctl daemon reload"));
  ASSERT_EQ(ctl({"vm", "create", "mine", "--cid", "50"}).code, 0);

  daemon.Write("vms: [{name: a, guest_cid: 3, labels: {tier: web}}, {name: c, guest_cid: 5}]\n");
  const Outcome look = ctl({"daemon", "reload", "--dry-run"});
  EXPECT_EQ(look.code, 0) << look.error;
  EXPECT_EQ(look.out, "would update vms/a\nwould create vms/c\nwould delete vms/b\n");
  const Outcome done = ctl({"daemon", "reload"});
  EXPECT_EQ(done.code, 0) << done.error;
  EXPECT_EQ(done.out, "updated vms/a\ncreated vms/c\ndeleted vms/b\n");
  EXPECT_EQ(ctl({"daemon", "reload"}).out, "nothing to change: 2 objects\n");

  daemon.Write("daemon: {poll_us: 3}\nvms: [{name: a, guest_cid: 3}, {name: mine, guest_cid: 6}]\n");
  const Outcome refused = ctl({"daemon", "reload"});
  EXPECT_EQ(refused.code, 4);
  EXPECT_THAT(refused.out, AllOf(HasSubstr("updated vms/a\n"), HasSubstr("deleted vms/c\n"), Not(HasSubstr("mine"))));
  EXPECT_THAT(refused.error, AllOf(HasSubstr("not done: create vms/mine: VM_EXISTS: "), HasSubstr("kinsock.yaml:2:"),
                                   HasSubstr("other only after a restart of the daemon: daemon.poll_us")));

  const Outcome dump = ctl({"config", "dump"});
  EXPECT_EQ(dump.code, 0) << dump.error;
  EXPECT_THAT(dump.out, AllOf(HasSubstr("- name: \"a\"\n"), HasSubstr("- name: \"mine\"\n")));
  EXPECT_THAT(ctl({"config", "dump", "--file-only"}).out, Not(HasSubstr("mine")));
  const std::string json = ctl({"config", "dump", "-o", "jsonl"}).out;
  v1::ConfigDump first;
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(json.substr(0, json.find('\n')), &first).ok());
  EXPECT_THAT(first.yaml(), HasSubstr("daemon:"));
  // What is dumped is a good file.
  std::ofstream(daemon / "dump.yaml") << dump.out;
  EXPECT_EQ(ctl({"config", "check", daemon / "dump.yaml"}).out, daemon / "dump.yaml is good\n");

  daemon.Write("vms: [{nam: a}]\n");
  for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{
           {"daemon", "reload"}, {"config", "check"}, {"config", "check", daemon.file()}}) {
    const Outcome wrong = ctl(command);
    EXPECT_EQ(wrong.code, 1) << command[1];
    EXPECT_THAT(wrong.error,
                HasSubstr("kinsockctl: " + daemon.file() + ":1:8: vms[0].nam: is not a setting of a VM (did"));
  }
  EXPECT_EQ(ctl({"config", "check", "/no/such"}).code, 1);
}

TEST(KinsockctlViewTest, WhoMayNotIsToldWhatHeLacks) {
  const testing::TempDir directory;
  Config config;
  config.api_view_sockets = {directory / "view.sock"};
  const RunningDaemon daemon(std::move(config));
  const auto ctl = [&](const std::vector<std::string>& arguments) {
    return RunCtl(arguments, {{"KINSOCK_ENDPOINT", "unix:" + (directory / "view.sock")}});
  };
  EXPECT_EQ(ctl({"vm", "list"}).code, 0);
  const Outcome refused = ctl({"vm", "create", "a"});
  EXPECT_EQ(refused.code, 5);
  EXPECT_THAT(refused.error, AllOf(HasSubstr("ROLE_REQUIRED: VmService.CreateVm needs the role operator, and uid "),
                                   HasSubstr("  try: the same with --endpoint of the daemon's --api")));
}

TEST(KinsockctlAloneTest, LooksForTheUsersOwnDaemonFirst) {
  const testing::TempDir runtime;
  ASSERT_EQ(mkdir((runtime / "kinsock").c_str(), 0700), 0);
  std::ofstream(runtime / "kinsock/api.sock") << "left behind";
  const Outcome outcome = RunCtl({"info"}, {{"XDG_RUNTIME_DIR", runtime.path()}});
  EXPECT_EQ(outcome.code, 6);
  EXPECT_THAT(outcome.error, HasSubstr("no kinsockd answers at unix:" + runtime.path() + "/kinsock/api.sock"));
}

}  // namespace
}  // namespace kinsock
