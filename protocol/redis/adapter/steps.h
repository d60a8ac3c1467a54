#pragma once

#include "broker/steps.h"

namespace tidemark::redis {

using broker::Steps;

}  // namespace tidemark::redis
