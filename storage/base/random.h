#pragma once

#include <cstdint>
#include <random>

namespace tidemark {

/// Source of randomness, handed in by constructor so that a simulation can seed it.
using Random = std::mt19937_64;

}  // namespace tidemark
