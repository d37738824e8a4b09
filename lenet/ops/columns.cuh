// The kernels of columns.py, in libgpuarray's dialect of CUDA C. ROWS and COLUMNS (of a filter),
// FLIP and T (the type of the numbers) are defined before this text. Every number is written by
// one thread, which adds in a fixed order, so that results are the same in every run.
//
// LID_0: thread in a block, LDIM_0: threads in a block, GID_0, GID_1: block, GDIM_0, GDIM_1: blocks

// columns[tap][n][y][x] = images[n][c][y + i][x + j], where tap is the number of (c, i, j)
KERNEL void image_columns(GLOBAL_MEM const T *images, ga_size images_offset,
                          GLOBAL_MEM T *columns, ga_size columns_offset, ga_uint n_images,
                          ga_uint channels, ga_uint height, ga_uint width) {
    images = (GLOBAL_MEM const T *)((GLOBAL_MEM const char *)images + images_offset);
    columns = (GLOBAL_MEM T *)((GLOBAL_MEM char *)columns + columns_offset);
    const ga_uint out_height = height - ROWS + 1, out_width = width - COLUMNS + 1;
    const ga_uint size = n_images * out_height * out_width;
    for (ga_uint c = GID_1; c < channels; c += GDIM_1)
        for (ga_uint p = GID_0 * LDIM_0 + LID_0; p < size; p += GDIM_0 * LDIM_0) {
            const ga_uint x = p % out_width, y = p / out_width % out_height;
            const ga_uint n = p / out_width / out_height;
            GLOBAL_MEM const T *from =
                images + (((ga_size)n * channels + c) * height + y) * width + x;
            GLOBAL_MEM T *to = columns + (ga_size)c * ROWS * COLUMNS * size + p;
            for (ga_uint i = 0; i < ROWS; i++)
                for (ga_uint j = 0; j < COLUMNS; j++, to += size) {
                    const ga_uint row = FLIP ? ROWS - 1 - i : i;
                    const ga_uint column = FLIP ? COLUMNS - 1 - j : j;
                    *to = from[row * width + column];
                }
        }
}

// images[n][c][y][x] = sum of the columns that image_columns would copy it to
KERNEL void column_images(GLOBAL_MEM const T *columns, ga_size columns_offset,
                          GLOBAL_MEM T *images, ga_size images_offset, ga_uint n_images,
                          ga_uint channels, ga_uint height, ga_uint width) {
    columns = (GLOBAL_MEM const T *)((GLOBAL_MEM const char *)columns + columns_offset);
    images = (GLOBAL_MEM T *)((GLOBAL_MEM char *)images + images_offset);
    const ga_uint out_height = height - ROWS + 1, out_width = width - COLUMNS + 1;
    const ga_size size = (ga_size)n_images * out_height * out_width;
    for (ga_uint c = GID_1; c < channels; c += GDIM_1)
        for (ga_uint p = GID_0 * LDIM_0 + LID_0; p < n_images * height * width;
             p += GDIM_0 * LDIM_0) {
            const ga_uint x = p % width, y = p / width % height, n = p / width / height;
            GLOBAL_MEM const T *from = columns + (ga_size)c * ROWS * COLUMNS * size +
                                       ((ga_size)n * out_height + y) * out_width + x;
            T sum = 0;
            for (ga_uint i = 0; i < ROWS; i++)
                for (ga_uint j = 0; j < COLUMNS; j++, from += size) {
                    const ga_uint row = FLIP ? ROWS - 1 - i : i;
                    const ga_uint column = FLIP ? COLUMNS - 1 - j : j;
                    // unsigned: a difference below 0 is a large number
                    if (y - row < out_height && x - column < out_width)
                        sum += *(from - row * out_width - column);
                }
            images[(((ga_size)n * channels + c) * height + y) * width + x] = sum;
        }
}
