// SPDX-License-Identifier: Apache-2.0
#include "bench/load.h"

#include <unistd.h>

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "bench/probe.h"

namespace kinsock::bench {

void Fail(const std::string& why) {
  std::fprintf(stderr, "vsock_load: %s\n", why.c_str());
  std::fflush(stderr);
  _exit(1);  // other threads may be at work
}

void Need(const LoadOptions& options, size_t guests) {
  if (options.sockets.size() < guests) Fail(absl::StrCat("this measurement needs ", guests, " --socket"));
}

Figures Throughput(uint64_t bytes, const Stretch& stretch) {
  const double gbit = static_cast<double>(bytes) * kGbit;
  Figures figures = {{"gbit_per_s", gbit / stretch.wall()}};
  if (stretch.cpu() > 0 && bytes > 0) {
    figures.push_back({"gbit_per_cpu_s", gbit / stretch.cpu()});
    figures.push_back({"cpu_s_per_gb", stretch.cpu() / (gbit / 8)});
    figures.push_back({"backend_cpu_percent", 100 * stretch.cpu() / stretch.wall()});
  }
  figures.push_back({"load_cpu_percent", 100 * stretch.own_cpu() / stretch.wall()});
  return figures;
}

Figures Latency(std::vector<double>& samples) {
  if (samples.empty()) Fail("nothing came back");
  return {{"p50_us", Quantile(samples, 0.5)},
          {"p99_us", Quantile(samples, 0.99)},
          {"p999_us", Quantile(samples, 0.999)},
          {"round_trips", static_cast<double>(samples.size())}};
}

}  // namespace kinsock::bench
