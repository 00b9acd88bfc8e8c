// SPDX-License-Identifier: Apache-2.0
#include "bench/control/measure.h"

#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "bench/probe.h"

namespace kinsock::bench {

void Abandon(const std::string& why) {
  std::fprintf(stderr, "control_load: %s\n", why.c_str());
  std::fflush(nullptr);
  std::_Exit(1);  // threads of clients may still run
}

void RaiseDescriptorLimit(size_t wanted) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  const rlimit more{std::max<rlim_t>(limit.rlim_max, wanted), std::max<rlim_t>(limit.rlim_max, wanted)};
  if (setrlimit(RLIMIT_NOFILE, &more) == 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

void AddQuantiles(const std::string& name, std::vector<double>& samples, ControlFigures& figures) {
  figures.push_back({name + "_p50_ms", Quantile(samples, 0.5)});
  figures.push_back({name + "_p99_ms", Quantile(samples, 0.99)});
}

}  // namespace kinsock::bench
