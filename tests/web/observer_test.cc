// SPDX-License-Identifier: Apache-2.0
//
// What a scraper and a prober meet: all of the daemon, and simulated guests.
#include "web/observer.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/unique_fd.h"
#include "server/config/config.h"
#include "server/daemon/daemon.h"
#include "server/host/activated_sockets.h"
#include "tests/server/running_daemon.h"
#include "tests/support/simulated_guest.h"
#include "tests/support/temp_dir.h"
#include "tests/web/http_client.h"
#include "tests/web/promtool.h"
#include "tests/web/watched_guests.h"

namespace kinsock {
namespace {

using ::testing::HasSubstr;
using testing::HttpAnswer;
using testing::HttpClient;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::RunningDaemon;

// A directory for the state, there before the daemon is.
class WithState {
 protected:
  const testing::TempDir state_;
};

class ObserverTest : private WithState, public testing::WatchedGuests {
 protected:
  explicit ObserverTest(Config config = {}) : WatchedGuests(Keeping(std::move(config), state_ / "state")) {}

  static Config Keeping(Config config, const std::string& directory) {
    config.state_dir = directory;
    return config;
  }

  std::string Scrape() {
    const HttpAnswer answer = http_.Get("/metrics");
    EXPECT_EQ(answer.status, 200);
    return answer.body;
  }
  template <typename Request, typename Response>
  grpc::Status Call(grpc::Status (v1::NetworkService::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request) {
    grpc::ClientContext context;
    testing::SetDeadline(context);
    Response response;
    return (daemon_.networks().*method)(&context, request, &response);
  }
  // What was said is good for a moment: a scrape may be that old.
  bool ScrapeTells(const std::string& line) {
    return stage_.RunUntil([&] { return absl::StrCat("\n", Scrape()).find("\n" + line + "\n") != std::string::npos; });
  }
};

TEST_F(ObserverTest, AScrapeTellsWhatGuestsDo) {
  Boot("a", 3, a_);
  Boot("b", 4, b_);
  Send(a_, b_, 100'000);
  EXPECT_TRUE(ScrapeTells("kinsock_vm_transmit_bytes_total{vm=\"a\",network=\"default\",peer=\"sibling\"} 100000"));
  const std::string metrics = Scrape();
  EXPECT_THAT(metrics,
              HasSubstr("kinsock_vm_receive_bytes_total{vm=\"b\",network=\"default\",peer=\"sibling\"} 100000\n"));
  EXPECT_THAT(metrics, HasSubstr("kinsock_vm_connections{vm=\"b\",network=\"default\",state=\"established\"} 1\n"));
  EXPECT_THAT(
      metrics,
      HasSubstr("kinsock_vm_connects_total{vm=\"b\",network=\"default\",direction=\"in\",result=\"ACCEPTED\"} 1\n"));
  EXPECT_THAT(metrics, HasSubstr("kinsock_receive_bytes_total{peer=\"sibling\"} 100000\n"));
  EXPECT_THAT(metrics, HasSubstr("kinsock_vms{network=\"default\",state=\"ACTIVE\"} 2\n"));
  EXPECT_THAT(metrics, HasSubstr("kinsock_cids{network=\"default\",state=\"allocated\"} 2\n"));
  EXPECT_THAT(metrics, HasSubstr("process_open_fds "));
  EXPECT_THAT(metrics, HasSubstr("process_resident_memory_bytes "));
  EXPECT_EQ(testing::CheckMetrics(metrics, daemon_.directory()), "");
}

TEST_F(ObserverTest, ConnectionsAreToldByTheirState) {
  Boot("a", 3, a_);
  Boot("b", 4, b_);
  const auto state_of = [](const std::string& vm, const std::string& state, int count) {
    return absl::StrCat("kinsock_vm_connections{vm=\"", vm, "\",network=\"default\",state=\"", state, "\"} ", count);
  };
  const testing::Stream stays = Send(a_, b_, 1000);
  testing::Stream client = Send(a_, b_, 1000);
  for (const char* vm : {"a", "b"}) EXPECT_TRUE(ScrapeTells(state_of(vm, "established", 2)));
  client.ShutdownSend();
  for (const char* vm : {"a", "b"}) EXPECT_TRUE(ScrapeTells(state_of(vm, "half_closed", 1)));
  EXPECT_TRUE(ScrapeTells(state_of("a", "established", 1)));
  client.Close();
  for (const char* vm : {"a", "b"}) EXPECT_TRUE(ScrapeTells(state_of(vm, "half_closed", 0)));
  EXPECT_TRUE(ScrapeTells("kinsock_connections{state=\"established\"} 2")) << "one at each end";
  ASSERT_TRUE(daemon_.Delete("a", true).ok());
  EXPECT_TRUE(ScrapeTells("kinsock_connections{state=\"established\"} 0")) << "what is gone has none";
  EXPECT_TRUE(ScrapeTells("kinsock_connections{state=\"connecting\"} 0"));
}

TEST_F(ObserverTest, ConnectionsAreTimedByTheWayThatTheyGo) {
  Boot("a", 3, a_);
  Boot("b", 4, b_);
  b_.Listen(80);
  testing::Stream client = a_.Connect(4, 80);
  testing::Stream server = b_.Accept(80);
  EXPECT_TRUE(ScrapeTells("kinsock_connect_duration_seconds_count{direction=\"sibling\"} 1"));
  EXPECT_THAT(Scrape(), HasSubstr("kinsock_connection_duration_seconds_count{direction=\"sibling\"} 0\n"));
  client.Close();
  EXPECT_TRUE(ScrapeTells("kinsock_connection_duration_seconds_count{direction=\"sibling\"} 1"));
  EXPECT_THAT(Scrape(), HasSubstr("kinsock_connect_duration_seconds_count{direction=\"from_host\"} 0\n"));
  EXPECT_THAT(Scrape(), HasSubstr("kinsock_reactor_loop_seconds_bucket{reactor=\"0\",le=\"+Inf\"} "));
  EXPECT_THAT(Scrape(), HasSubstr("kinsock_reactor_delay_seconds_bucket{reactor=\"0\",le=\"+Inf\"} "));
}

TEST_F(ObserverTest, ADeletedVmIsNoLongerTold) {
  Boot("a", 3, a_);
  EXPECT_TRUE(ScrapeTells("kinsock_vms{network=\"default\",state=\"ACTIVE\"} 1"));
  ASSERT_TRUE(daemon_.Delete("a", true).ok());
  EXPECT_TRUE(ScrapeTells("kinsock_cids{network=\"default\",state=\"quarantined\"} 1"));
  const std::string metrics = Scrape();
  EXPECT_THAT(metrics, Not(HasSubstr("vm=\"a\"")));
  EXPECT_THAT(metrics, HasSubstr("kinsock_frontend_connects_total 1\n")) << "the sum of all does not shrink";
}

TEST_F(ObserverTest, NetworksTheirCidsAndTheirPoliciesAreToldApart) {
  v1::CreateNetworkRequest lab;
  lab.set_network_id("lab");
  lab.mutable_network()->mutable_cid_range()->set_first(100);
  lab.mutable_network()->mutable_cid_range()->set_last(109);
  ASSERT_TRUE(Call(&v1::NetworkService::Stub::CreateNetwork, lab).ok());
  v1::CreatePolicyRequest closed;
  closed.set_parent("networks/lab");
  closed.set_policy_id("closed");
  const grpc::Status made = Call(&v1::NetworkService::Stub::CreatePolicy, closed);
  ASSERT_TRUE(made.ok()) << made.error_message();
  v1::Vm vms[2];
  for (int i = 0; i < 2; ++i) {
    v1::CreateVmRequest request;
    request.set_vm_id(absl::StrCat("lab-", i));
    request.mutable_vm()->mutable_spec()->set_network("networks/lab");
    ASSERT_TRUE(daemon_.Create(request, &vms[i]).ok());
  }
  EXPECT_TRUE(ScrapeTells("kinsock_vms{network=\"lab\",state=\"LISTENING\"} 2"));
  ASSERT_TRUE(a_.PowerOn(vms[0].status().vhost_user_socket()).ok());
  ASSERT_TRUE(b_.PowerOn(vms[1].status().vhost_user_socket()).ok());
  EXPECT_TRUE(ScrapeTells("kinsock_vms{network=\"lab\",state=\"ACTIVE\"} 2"));
  b_.Listen(80);
  const testing::Stream refused = a_.Connect(b_.cid(), 80);
  EXPECT_TRUE(stage_.RunUntil([&] { return refused.closed(); }));
  EXPECT_TRUE(ScrapeTells("kinsock_policy_decisions_total{network=\"lab\",policy=\"closed\",action=\"deny\"} 1"));
  const std::string metrics = Scrape();
  EXPECT_THAT(metrics, HasSubstr("kinsock_cids{network=\"lab\",state=\"allocated\"} 2\n"));
  EXPECT_THAT(metrics, HasSubstr("kinsock_cids{network=\"lab\",state=\"free\"} 8\n"));
  EXPECT_THAT(metrics, HasSubstr("kinsock_cid_range_size{network=\"lab\"} 10\n"));
  EXPECT_THAT(metrics, HasSubstr("kinsock_vms{network=\"default\",state=\"ACTIVE\"} 0\n"));
  EXPECT_THAT(metrics, HasSubstr("kinsock_vm_frontend_connects_total{vm=\"lab-0\",network=\"lab\"} 1\n"));
  EXPECT_THAT(metrics, HasSubstr("kinsock_reactor_devices{reactor=\"0\"} 2\n"));
  EXPECT_EQ(testing::CheckMetrics(metrics, daemon_.directory()), "");
}

TEST_F(ObserverTest, CallsOfTheApiAreCounted) {
  daemon_.Info();
  daemon_.Get("vms/nobody");
  EXPECT_TRUE(ScrapeTells(
      "grpc_server_handled_total{grpc_type=\"unary\",grpc_service=\"kinsock.v1.VmService\",grpc_method=\"GetVm\","
      "grpc_code=\"NotFound\"} 1"));
  EXPECT_THAT(Scrape(), HasSubstr("grpc_method=\"GetInfo\",grpc_code=\"OK\"} 1\n"));
  EXPECT_THAT(Scrape(), HasSubstr("grpc_server_handling_seconds_count{grpc_type=\"unary\",grpc_service="
                                  "\"kinsock.v1.AdminService\",grpc_method=\"GetInfo\"} 1\n"));
}

TEST_F(ObserverTest, ADrainingNodeLivesAndIsNotReady) {
  EXPECT_EQ(http_.Get("/livez").status, 200);
  const HttpAnswer ready = http_.Get("/readyz?verbose");
  EXPECT_EQ(ready.status, 200);
  EXPECT_THAT(ready.body, HasSubstr("[+] reactor-0\n"));
  EXPECT_THAT(ready.body, HasSubstr("[+] accepts VMs\n"));

  grpc::ClientContext context;
  testing::SetDeadline(context);
  google::protobuf::Empty empty;
  ASSERT_TRUE(daemon_.admin().Drain(&context, v1::DrainRequest(), &empty).ok());
  EXPECT_TRUE(stage_.RunUntil([&] { return http_.Get("/readyz").status == 503; }));
  EXPECT_THAT(http_.Get("/readyz").body, HasSubstr("[-] accepts VMs: the node drains\n"));
  EXPECT_EQ(http_.Get("/livez").status, 200);
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// The names in `text` that `pattern` has as its first group.
std::set<std::string> Names(const std::string& text, const std::regex& pattern) {
  std::set<std::string> names;
  for (std::sregex_iterator it(text.begin(), text.end(), pattern), end; it != end; ++it) names.insert(it->str(1));
  return names;
}

// Alerts and dashboards of which a metric, or a label, is misspelt stay silent for ever.
TEST_F(ObserverTest, EveryMetricOfTheAlertsAndTheDashboardIsThere) {
  Boot("a", 3, a_);
  Boot("b", 4, b_);
  Send(a_, b_, 1000);
  // Reasons that have not occurred are left out.
  testing::Stream client = a_.Connect(4, 80);
  b_.Accept(80);
  client.Close();
  daemon_.Info();
  EXPECT_TRUE(ScrapeTells("kinsock_connection_duration_seconds_count{direction=\"sibling\"} 1"));
  std::map<std::string, std::set<std::string>> exported;  // metric -> labels
  const std::regex label("([a-z_]+)=\"");
  for (const auto line : absl::StrSplit(Scrape(), '\n', absl::SkipEmpty())) {
    exported[std::string(line.substr(0, line.find_first_of("{ ")))].merge(Names(std::string(line), label));
  }
  const std::regex metric("\\b((kinsock|grpc_server|process)_[a-z_]+)");
  const std::regex selector("\\b(kinsock_[a-z_]+|grpc_server_[a-z_]+)\\{([^}]*)\\}");
  const std::regex matcher("([a-z_]+)(=|!=|=~|!~)\\\\?\"");
  for (const char* file : {"deploy/prometheus/kinsock.rules.yml", "deploy/grafana/kinsock.json"}) {
    const std::string text = ReadFile(file);
    const std::set<std::string> used = Names(text, metric);
    EXPECT_GT(used.size(), 5u) << file;
    for (const std::string& name : used) EXPECT_EQ(exported.count(name), 1u) << file << ": " << name;
    for (std::sregex_iterator it(text.begin(), text.end(), selector), end; it != end; ++it) {
      for (const std::string& name : Names(it->str(2), matcher)) {
        // Of these two Prometheus knows.
        if (name == "instance" || name == "job") continue;
        EXPECT_EQ(exported[it->str(1)].count(name), 1u) << file << ": " << it->str();
      }
    }
  }
}

TEST_F(ObserverTest, WhatIsWrittenIsCountedAndTimed) {
  ASSERT_TRUE(daemon_.Create("a").ok());
  EXPECT_TRUE(stage_.RunUntil([&] {
    const std::string metrics = Scrape();
    return metrics.find("kinsock_store_changes_total{result=\"written\"} ") != std::string::npos &&
           metrics.find("kinsock_store_changes_total{result=\"written\"} 0\n") == std::string::npos;
  }));
  const std::string metrics = Scrape();
  EXPECT_THAT(metrics, HasSubstr("kinsock_store_changes_total{result=\"failed\"} 0\n"));
  EXPECT_THAT(metrics, HasSubstr("kinsock_store_commit_seconds_count "));
  EXPECT_THAT(metrics, Not(HasSubstr("kinsock_store_commit_seconds_count 0\n")));
}

TEST(ForgetfulObserverTest, WhatIsNotKeptIsNotTimed) {
  RunningDaemon daemon(Config(), nullptr, true);
  ASSERT_TRUE(daemon.started().ok()) << daemon.started();
  EXPECT_THAT(HttpClient(daemon.http_socket()).Get("/metrics").body, Not(HasSubstr("kinsock_store_")));
}

class BasicObserverTest : public ObserverTest {
 protected:
  static Config Basic() {
    Config config;
    config.http.per_vm = PerVmMetrics::kBasic;
    return config;
  }
  BasicObserverTest() : ObserverTest(Basic()) {}
};

TEST_F(BasicObserverTest, FewerMetricsForEachVm) {
  Boot("a", 3, a_);
  EXPECT_TRUE(ScrapeTells("kinsock_vm_frontend_connects_total{vm=\"a\",network=\"default\"} 1"));
  EXPECT_THAT(Scrape(), Not(HasSubstr("kinsock_vm_queue_kicks_total")));
  EXPECT_THAT(Scrape(), HasSubstr("kinsock_queue_kicks_total"));
}

// A port of the loopback that is free, or was a moment ago.
uint16_t FreePort() {
  const UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
  EXPECT_EQ(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
  return ntohs(address.sin_port);
}

TEST(ObserverByTcpTest, APageFromElsewhereCannotRead) {
  const uint16_t port = FreePort();
  Config config;
  ASSERT_EQ(SetHttpEndpoint(absl::StrCat("tcp:127.0.0.1:", port), config.http), "");
  RunningDaemon daemon(config);
  ASSERT_TRUE(daemon.started().ok()) << daemon.started();
  const HttpClient http(port);
  EXPECT_EQ(http.Get("/livez", absl::StrCat("Host: 127.0.0.1:", port, "\r\n")).status, 200);
  EXPECT_EQ(http.Get("/metrics", absl::StrCat("Host: evil.example:", port, "\r\n")).status, 403);
}

TEST(ObserverByTcpTest, APortThatIsTakenIsSaid) {
  const uint16_t port = FreePort();
  Config config;
  ASSERT_EQ(SetHttpEndpoint(absl::StrCat("tcp:127.0.0.1:", port), config.http), "");
  RunningDaemon first(config);
  ASSERT_TRUE(first.started().ok()) << first.started();
  RunningDaemon second(config);
  EXPECT_THAT(std::string(second.started().message()), HasSubstr(absl::StrCat("--http: tcp:127.0.0.1:", port)));
}

TEST(UnheardObserverTest, ADaemonThatCannotBeAskedOverHttpDoesNotStart) {
  const testing::TempDir dir;
  setenv("XDG_RUNTIME_DIR", dir.path().c_str(), 1);
  std::vector<ActivatedSocket> given;
  given.push_back({ActivatedSocket::Kind::kHttp, dir / "http.sock", UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC))});
  Daemon daemon(Config(), nullptr, std::move(given));
  const absl::Status started = daemon.Start();
  EXPECT_FALSE(started.ok());
  EXPECT_THAT(std::string(started.message()), HasSubstr("--http: its listening socket cannot be watched"));
}

}  // namespace
}  // namespace kinsock
