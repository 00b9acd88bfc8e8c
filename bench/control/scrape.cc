// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/bench_guest.h"
#include "bench/control/measure.h"
#include "bench/drive.h"
#include "bench/probe.h"
#include "tests/server/daemon_process.h"
#include "tests/web/http_client.h"

namespace kinsock::bench {
namespace {

using testing::DaemonProcess;
using testing::HttpAnswer;
using testing::HttpClient;

constexpr size_t kDescriptorsPerVm = 8;
constexpr uint32_t kEchoPort = 7;
constexpr std::chrono::seconds kStretch{5};

HttpAnswer Scrape(const HttpClient& http, const DaemonProcess& daemon) {
  HttpAnswer answer = http.Get("/metrics");
  if (answer.status != 200) Abandon(absl::StrCat("a scrape was answered ", answer.status, ": ", daemon.errors()));
  return answer;
}

// One byte from a guest to another and back, each on a thread that sleeps while it waits, for a while.
std::vector<double> RoundTrips(BenchGuest& asker, BenchGuest& teller, BenchGuest::Connection& connection) {
  std::atomic<bool> stop{false};
  std::thread other([&] { Drive({&teller}, [&] { return stop.load(std::memory_order_relaxed); }); });
  std::vector<double> samples;
  BenchClock::time_point sent = BenchClock::now();
  const BenchClock::time_point end = sent + kStretch;
  bool under_way = true;
  asker.on_data = [&](BenchGuest::Connection&, uint32_t) {
    const BenchClock::time_point now = BenchClock::now();
    samples.push_back(Seconds(now - sent) * 1e6);
    sent = now;
    under_way = now < end;
    if (under_way) asker.Send(connection, 1, 1);
  };
  asker.Send(connection, 1, 1);
  Drive({&asker}, [&] { return !under_way; });
  stop = true;
  other.join();
  return samples;
}

// For a while, with pauses as no prober has them; milliseconds.
std::vector<double> AskWhetherItLives(const HttpClient& http, const DaemonProcess& daemon) {
  std::vector<double> samples;
  const BenchClock::time_point end = BenchClock::now() + kStretch;
  while (BenchClock::now() < end) {
    const BenchClock::time_point begin = BenchClock::now();
    if (http.Get("/livez").status != 200) Abandon(absl::StrCat("/livez is not well: ", daemon.errors()));
    samples.push_back(Milliseconds(BenchClock::now() - begin));
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return samples;
}

}  // namespace

ControlFigures MeasureScrape(const ControlOptions& options) {
  RaiseDescriptorLimit(kDescriptorsPerVm * options.vms + 1000);
  DaemonProcess daemon(DaemonProcess::State::kInMemory);
  const std::string socket = daemon / "http.sock";
  if (!daemon.Start({"--http", "unix:" + socket})) Abandon(daemon.errors());
  for (size_t i = 0; i < options.vms; ++i) {
    if (const grpc::Status status = daemon.Create(absl::StrCat("vm", i)); !status.ok()) Abandon(status.error_message());
  }
  const HttpClient http(socket);
  BenchGuest asker(daemon.Get("vm0").status().vhost_user_socket(), {});
  BenchGuest teller(daemon.Get("vm1").status().vhost_user_socket(), {});
  teller.Listen(kEchoPort, [](BenchGuest::Connection& connection) { connection.echoes = true; });
  BenchGuest::Connection& connection = *OpenConnections(asker, teller, kEchoPort, 1)[0];

  ControlFigures figures;
  std::vector<double> alone;
  size_t bytes = 0;
  Stretch work(daemon.pid());
  for (size_t i = 0; i < options.scrapes; ++i) {
    const auto begin = BenchClock::now();
    bytes = Scrape(http, daemon).body.size();
    alone.push_back(Milliseconds(BenchClock::now() - begin));
  }
  work.Stop();
  AddQuantiles("scrape", alone, figures);
  figures.push_back({"scrape_cpu_ms", work.cpu() * 1e3 / static_cast<double>(options.scrapes)});
  figures.push_back({"kib", static_cast<double>(bytes) / 1024});

  std::vector<double> quiet = RoundTrips(asker, teller, connection);
  figures.push_back({"round_trip_p50_us", Quantile(quiet, 0.5)});
  figures.push_back({"round_trip_p99_us", Quantile(quiet, 0.99)});
  std::atomic<bool> stop{false};
  std::thread scraper([&] {
    while (!stop.load(std::memory_order_relaxed)) Scrape(http, daemon);
  });
  std::vector<double> beside = RoundTrips(asker, teller, connection);
  std::vector<double> liveness = AskWhetherItLives(http, daemon);
  stop = true;
  scraper.join();
  figures.push_back({"round_trip_during_scrapes_p50_us", Quantile(beside, 0.5)});
  figures.push_back({"round_trip_during_scrapes_p99_us", Quantile(beside, 0.99)});
  AddQuantiles("livez_during_scrapes", liveness, figures);
  daemon.Stop();
  return figures;
}

}  // namespace kinsock::bench
