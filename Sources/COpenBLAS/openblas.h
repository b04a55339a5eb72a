// OpenBLAS's C interface; pkg-config says where its cblas.h is.
#include <cblas.h>
