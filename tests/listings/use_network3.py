"""A program on top of network3, with the calls of seed 001 and of the book."""

from network3 import (
    ConvPoolLayer,
    FullyConnectedLayer,
    Network,
    ReLU,
    SoftmaxLayer,
    dropout_layer,
    get_error_locations,
    load,
    load_data_shared,
    plot_errors,
    save,
    size,
)


class NoisyLayer(FullyConnectedLayer):
    """A layer that a reader has written: dropout on its outputs."""

    def set_inpt(self, inpt, inpt_dropout, mini_batch_size):
        super(NoisyLayer, self).set_inpt(inpt, inpt_dropout, mini_batch_size)
        self.output_dropout = dropout_layer(self.output_dropout, 0.1)


def layers(mini_batch_size):
    return [ConvPoolLayer(image_shape=(mini_batch_size, 1, 28, 28), filter_shape=(4, 1, 5, 5),
                          poolsize=(2, 2), activation_fn=ReLU),
            NoisyLayer(n_in=4 * 12 * 12, n_out=20, activation_fn=ReLU, p_dropout=0.3),
            SoftmaxLayer(n_in=20, n_out=10)]


def main(filename, is_load_model_from_file):
    training_data, validation_data, test_data = load_data_shared(filename=filename)
    mini_batch_size = 10
    print(size(training_data))
    net = Network(layers(mini_batch_size), mini_batch_size)
    if is_load_model_from_file:
        load(net.layers)
    net.SGD(training_data, 3, mini_batch_size, 0.03, validation_data, test_data, lmbda=0.1,
            is_load_model_from_file=is_load_model_from_file)
    if not is_load_model_from_file:
        save(net.layers)
    error_locations, erroneous_predictions = get_error_locations(net, test_data)
    plot_errors(error_locations, erroneous_predictions, test_data)
    return net
